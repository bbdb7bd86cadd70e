import { createHash } from 'node:crypto'
import { optionChecker, secret, string, type Rule } from '@fastkeep/options'
import { currentSecond, expiryOf, isRenewalDue, type Moment } from '../lifetimes.js'
import type { Revocation } from '../sealed/ended-sessions.js'
import { CREATE, DESTROY, END, INDEX, MOVE, PATCH, RENEW_IF_DUE, TOUCH, type Script } from './redis-scripts.js'
import { renamed, type FieldChanges, type Renaming, type SessionStore, type SessionSummary, type StoredSession } from './store.js'

/** The part of an ioredis client, or Cluster, that is used. */
export interface RedisClient {
  call (command: string, ...args: Array<string | number>): Promise<unknown>
}

export interface RedisStoreOptions {
  /** A client or Cluster of ioredis. It is yours: close it after the application. */
  readonly client: RedisClient
  /** Before the name of each key. Default `'fastkeep:session:'`. */
  readonly prefix?: string
}

const checkOptions = optionChecker('secure-session')
const client: Rule = secret({
  expected: 'a client of ioredis, or a Cluster with the option scaleReads: \'master\'',
  accepts: value => typeof value === 'object' && value !== null && 'call' in value && typeof value.call === 'function' && readsFromMasters(value),
})
const rules = { client, prefix: string('a string of 1 to 100 characters', /^[^]{1,100}$/) }

/**
 * Sessions in Redis or Valkey, for many machines. One round trip for each read and each write, two for a read that renews.
 * What was answered is as safe as Redis is set up to keep it: see the README for persistence and `noeviction`.
 *
 * @example
 * import { Redis } from 'ioredis'
 * import { RedisStore } from '@fastkeep/secure-session/redis'
 * const client = new Redis({ enableOfflineQueue: false, enableAutoPipelining: true, retryStrategy: () => 200 })
 * await app.register(secureSession, { keyFile, store: new RedisStore({ client }) })
 */
export class RedisStore implements SessionStore {
  readonly #client: RedisClient
  readonly #prefix: string

  constructor (options: RedisStoreOptions) {
    checkOptions(options, rules)
    this.#client = options.client
    this.#prefix = options.prefix ?? 'fastkeep:session:'
  }

  /** For sealed cookies: the ends of sessions, for all who share this Redis. */
  get revocation (): Revocation {
    return {
      isEnded: async id => {
        const from = await this.#client.call('GET', this.#endKey(id))
        return from !== null && currentSecond() >= Number(from)
      },
      end: async (id, { from, until }) => {
        await this.#run(END, this.#endKey(id), Math.max(1, until - currentSecond()), from)
      },
    }
  }

  async read (id: string, moment: Moment): Promise<StoredSession | undefined> {
    const found = await this.#read(id)
    // Few reads renew, and a script costs Redis three times as much as this command.
    const session = found !== undefined && isRenewalDue(found, moment, moment.now) ? await this.#renewed(id, moment) : found
    // Under an id in its grace there is something as long as the next one lives.
    return session?.movedTo !== undefined && await this.#resolve(session.movedTo) === undefined ? undefined : session
  }

  async create (id: string, session: StoredSession, moment: Moment): Promise<void> {
    // First the index: it may name what is not there, and never miss what is.
    if (session.subject !== undefined) await this.#run(INDEX, this.#subjectKey(session.subject), session.createdAt + moment.absoluteTimeout, id, moment.now)
    await this.#run(CREATE, this.#key(id), Math.max(1, expiryOf(session, moment) - moment.now), ...hashOf(session))
  }

  async patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'> {
    const names = Object.keys(changes)
    const set = names.filter(name => changes[name] !== undefined).flatMap(name => [`d:${name}`, changes[name] as string])
    const removed = names.filter(name => changes[name] === undefined).map(name => `d:${name}`)
    const { now, idleTimeout, absoluteTimeout } = moment
    const outcome = await this.#run(PATCH, this.#key(id), now, idleTimeout, absoluteTimeout, ifVersion ?? '', set.length, ...set, ...removed)
    if (typeof outcome === 'string') return ifVersion === undefined ? await this.patch(outcome, changes, moment) : 'conflict'
    return outcome === 1 ? 'done' : outcome === 0 ? 'missing' : 'conflict'
  }

  // The two ids are on different nodes of a Cluster, so it takes two steps: first the next one is there, known to nobody,
  // then the former one points to it, unless somebody has written to it meanwhile, and then all begins again.
  async rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'> {
    for (;;) {
      const session = await this.#read(oldId)
      if (session === undefined) return 'missing'
      if (session.movedTo !== undefined) return await this.#resolve(session.movedTo) === undefined ? 'missing' : 'moved'
      await this.create(newId, renamed(session, renaming), moment)
      const outcome = await this.#run(MOVE, this.#key(oldId), session.version, newId, renaming.grace)
      if (outcome === 1) return 'done'
      await this.#run(DESTROY, this.#key(newId))
    }
  }

  async touch (id: string, moment: Moment): Promise<boolean> {
    const outcome = await this.#run(TOUCH, this.#key(id), moment.now, moment.idleTimeout, moment.absoluteTimeout)
    return typeof outcome === 'string' ? await this.touch(outcome, moment) : outcome === 1
  }

  async destroy (id: string): Promise<boolean> {
    const outcome = await this.#run(DESTROY, this.#key(id))
    return typeof outcome === 'string' ? await this.destroy(outcome) : outcome === 1
  }

  async destroyAll (subject: string): Promise<number> {
    const handles = await this.#handlesOf(subject)
    const wereThere = await Promise.all(handles.map(handle => this.destroy(handle)))
    if (handles.length > 0) await this.#client.call('ZREM', this.#subjectKey(subject), ...handles)
    return wereThere.filter(wasThere => wasThere).length
  }

  async list (subject: string): Promise<SessionSummary[]> {
    const handles = await this.#handlesOf(subject)
    const found = await Promise.all(handles.map(async handle => {
      const facts = await this.#client.call('HMGET', this.#key(handle), 'c', 'r', 'a', 'm') as Array<string | null>
      const [createdAt, renewedAt, authenticatedAt, movedTo] = facts
      if (createdAt === null || movedTo !== null) return []
      return [{ handle, subject, createdAt: Number(createdAt), renewedAt: Number(renewedAt), authenticatedAt: numberOr(authenticatedAt) }]
    }))
    return found.flat()
  }

  async close (): Promise<void> {}

  async #read (id: string): Promise<StoredSession | undefined> {
    return sessionFrom(await this.#client.call('HGETALL', this.#key(id)) as string[], false)
  }

  /** As it is then, which may be renewed by another, moved or gone. */
  async #renewed (id: string, { now, idleTimeout, absoluteTimeout, renewAfter }: Moment): Promise<StoredSession | undefined> {
    const [renewed, hash] = await this.#run(RENEW_IF_DUE, this.#key(id), now, idleTimeout, absoluteTimeout, renewAfter) as [number, string[]]
    return sessionFrom(hash, renewed === 1)
  }

  /** The id under which a session lives that was at this one. */
  async #resolve (id: string): Promise<string | undefined> {
    const session = await this.#read(id)
    return session?.movedTo === undefined ? session && id : await this.#resolve(session.movedTo)
  }

  async #handlesOf (subject: string): Promise<string[]> {
    return await this.#client.call('ZRANGE', this.#subjectKey(subject), 0, -1) as string[]
  }

  async #run (script: Script, key: string, ...args: Array<string | number>): Promise<unknown> {
    try {
      return await this.#client.call('EVALSHA', script.sha1, 1, key, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await this.#client.call('EVAL', script.text, 1, key, ...args)
    }
  }

  #key (id: string): string {
    return this.#prefix + id
  }

  #endKey (id: string): string {
    return `${this.#prefix}ended:${id}`
  }

  #subjectKey (subject: string): string {
    return `${this.#prefix}subject:${createHash('sha256').update(subject).digest('base64url')}`
  }
}

/** A replica may not know yet that a session has ended. */
function readsFromMasters (client: object): boolean {
  const { isCluster, options } = client as { isCluster?: boolean, options?: { scaleReads?: unknown } }
  return isCluster !== true || options?.scaleReads === 'master'
}

function hashOf ({ version, createdAt, renewedAt, subject, authenticatedAt, data }: StoredSession): Array<string | number> {
  const fields = Object.entries(JSON.parse(data) as object).flatMap(([name, value]) => [`d:${name}`, JSON.stringify(value)])
  return [
    'v', version, 'c', createdAt, 'r', renewedAt,
    ...subject === undefined ? [] : ['s', subject],
    ...authenticatedAt === undefined ? [] : ['a', authenticatedAt],
    ...fields,
  ]
}

/** `undefined` for a hash without fields, which is what Redis has for a key that is not there. */
function sessionFrom (hash: readonly string[], isRenewed: boolean): StoredSession | undefined {
  if (hash.length === 0) return undefined
  const facts: Record<string, string> = {}
  const fields: string[] = []
  for (let index = 0; index < hash.length; index += 2) {
    const name = hash[index] as string
    const value = hash[index + 1] as string
    if (name.startsWith('d:')) fields.push(`${JSON.stringify(name.slice(2))}:${value}`)
    else facts[name] = value
  }
  const { v, c, r, s, a, m } = facts
  return { version: Number(v), createdAt: Number(c), renewedAt: Number(r), subject: s, authenticatedAt: numberOr(a), movedTo: m, data: `{${fields.join()}}`, isRenewed }
}

function numberOr (text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Number(text)
}
