import type { KeyObject } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { configurationError, KeysMissing } from './errors.js'
import { EndWatch } from './end-watch.js'
import { engineOf } from './engine.js'
import { SessionEvents } from './events.js'
import { insecureTransportGuard } from './insecure-transport.js'
import type { SessionMode } from './mode.js'
import type { Settings } from './options.js'
import { EndedAmongWorkers } from './sealed/ended-among-workers.js'
import { EndedSessions, type End, type Revocation } from './sealed/ended-sessions.js'
import { createKeyRing, deriveSubkey, type KeyRing } from './sealed/key-ring.js'
import { readKeys, type KeySources } from './sealed/key-sources.js'
import { SealedCookies } from './sealed/sealed-cookies.js'
import { SealedSessions, type NotBefore, type SealedSessionsOptions } from './sealed/sealed-sessions.js'
import { SessionCookie } from './session-cookie.js'
import { Deadlines } from './stores/deadlines.js'
import { guardedStore } from './stores/guarded-store.js'
import { MemoryStore } from './stores/memory.js'
import type { SessionStore } from './stores/store.js'
import { StoredSessions } from './stores/stored-sessions.js'
import { warnOnce } from './warn-once.js'

/** One session of an application: all that its requests share. */
export interface Registration {
  readonly settings: Settings
  readonly mode: SessionMode
  /** With a deadline on each answer. */
  readonly store: SessionStore | undefined
  readonly cookie: SessionCookie
  readonly events: SessionEvents
  readonly watch: EndWatch
  /** The ends of sealed sessions reach the other workers of the supervisor. */
  readonly isEndShared: boolean
  readonly origins: ReadonlySet<string>
  /** Longest data of one session, in bytes. */
  readonly largestData: number
  readonly csrfKeys: () => readonly KeyObject[]
  readonly keyCount: () => number
  /** Reads the keys anew. Throws, and then nothing has changed. */
  readonly reloadKeys: () => void
  /** Whether the answer goes over plain HTTP, where browsers ignore a Secure cookie. */
  readonly refusesTransport: (request: FastifyRequest) => boolean
}

interface Ends extends Pick<SealedSessionsOptions, 'ended' | 'noteEnd'> {
  readonly isShared: boolean
}

export function createRegistration (fastify: FastifyInstance, settings: Settings, sources: KeySources): Registration {
  const cookie = new SessionCookie(settings.cookie, settings.chunks)
  const { store: givenStore } = settings
  const deadlines = new Deadlines(settings.storeTimeout)
  let { ring } = settings
  const cookies = new SealedCookies({
    ...settings,
    ring,
    cookieName: cookie.name,
    purpose: givenStore === undefined ? 'session' : 'session-id',
    cacheBytes: settings.cacheSize,
    longestValue: cookie.longestValue,
  })
  // Our own memory is neither down nor slow, and what it answers is ours; a class made from it may differ.
  const store = givenStore === undefined || givenStore.constructor === MemoryStore ? givenStore : guardedStore(givenStore, deadlines)
  const largestData = store === undefined ? cookie.longestValue : settings.maxSize
  const ends = store === undefined ? endsIn(fastify, settings, cookie.name, id => watch.hear(mode.handleOf(id))) : undefined
  const mode: SessionMode = store === undefined
    ? new SealedSessions({
      ...settings,
      ...ends as Ends,
      cookies,
      revocation: settings.revocation && guardedRevocation(settings.revocation, deadlines),
      notBefore: settings.notBefore && guardedNotBefore(settings.notBefore, deadlines),
    })
    : new StoredSessions({ ...settings, cookies, store, largestData })
  const announcements = store === undefined ? undefined : announcementsIn(fastify, cookie.name, handle => watch.hear(handle))
  const watch = new EndWatch(mode, settings.absoluteTimeout, fastify.log, announcements?.tell)

  fastify.addHook('onClose', async () => {
    announcements?.close()
    watch.close()
    await givenStore?.close()
  })

  const csrfKeyOf = (from: KeyRing): KeyObject[] => from.all.map(key => deriveSubkey(key, { cookieName: cookie.name, purpose: 'csrf', day: 0 }))
  let csrfKeys: readonly KeyObject[] | undefined
  const registration: Registration = {
    settings,
    mode,
    store,
    cookie,
    events: new SessionEvents(settings.name),
    watch,
    isEndShared: ends?.isShared === true,
    origins: new Set(settings.csrf === false ? [] : settings.csrf.origins),
    largestData,
    csrfKeys () {
      csrfKeys ??= csrfKeyOf(ring)
      return csrfKeys
    },
    keyCount: () => ring.all.length,
    reloadKeys () {
      // A key made for this process has no source to be read from again.
      if (settings.isKeyTemporary) return
      const keys = readKeys(sources, process.env)
      if (keys === undefined) throw configurationError(new KeysMissing())
      ring = createKeyRing(keys)
      cookies.use(ring)
      csrfKeys = undefined
      watch.endUnder(keyId => ring.find(keyId) === undefined)
    },
    refusesTransport: insecureTransportGuard(cookie.name),
  }
  engineOf(fastify)?.subscribe('graceful', () => registration.reloadKeys(), { priority: 20, name: `secure-session keys of ${cookie.name}` })
  return registration
}

function guardedRevocation (revocation: Revocation, deadlines: Deadlines): Revocation {
  return {
    isEnded: id => deadlines.within(() => revocation.isEnded(id)),
    end: (id, end) => deadlines.within(() => revocation.end(id, end)),
  }
}

function guardedNotBefore (notBefore: NotBefore, deadlines: Deadlines): NotBefore {
  return subject => deadlines.within(() => notBefore(subject))
}

/** Tells the other workers of a supervisor which sessions in a store this one has ended. One that misses it finds out when it asks the store. */
function announcementsIn (fastify: FastifyInstance, cookieName: string, onEndElsewhere: (handle: string) => void): { tell: (handle: string) => void, close: () => void } | undefined {
  const peers = engineOf(fastify)?.peers
  if (peers === undefined) return undefined
  const topic = `secure-session/1:ended in the store:${cookieName}`
  const close = peers.on(topic, handle => onEndElsewhere(handle as string))
  return { tell: handle => { peers.send(topic, handle) }, close }
}

/** The ends of sealed sessions in this process, and in the other workers of its supervisor where it has one. */
function endsIn (fastify: FastifyInstance, { maxEnded }: Settings, cookieName: string, onEndElsewhere: (id: string) => void): Ends {
  const ended = new EndedSessions(maxEnded)
  const onForgotten = warnOnce(fastify.log, 'FST_KEEP_SECURE_SESSION_ENDED_LIST_FULL',
    'the list of ended sessions is full, so that the cookie of one that has ended may be accepted again until its limits: raise "maxEnded", or use a "revocation" or a store')
  const note = (id: string, end: End): void => {
    if (!ended.end(id, end)) onForgotten()
  }
  const peers = engineOf(fastify)?.peers
  if (peers === undefined) return { ended, noteEnd: note, isShared: false }

  const workers = new EndedAmongWorkers({
    peers,
    topic: `secure-session/1:${cookieName}`,
    ended,
    onEnd (id, end) {
      note(id, end)
      onEndElsewhere(id)
    },
    onLoss: warnOnce(fastify.log, 'FST_KEEP_SECURE_SESSION_ENDS_NOT_SHARED',
      'not all workers know of all ended sessions, so that a copied cookie of one may be accepted by them until its limits: they do not read what they are told'),
  })
  // Before this worker serves.
  fastify.addHook('onReady', async () => { await workers.learn() })
  fastify.addHook('onClose', async () => workers.close())
  return {
    ended,
    isShared: true,
    noteEnd (id, end) {
      note(id, end)
      workers.tell(id, end)
    },
  }
}
