import { randomBytes } from 'node:crypto'
import { optionChecker, string, type Rule } from '@fastkeep/options'
import type { Publication } from '../publication.js'
import type { Broker, BrokerEvents } from './broker.js'
import { decode, encode, ORIGIN_SIZE } from './redis-message.js'
import { Refusals } from './refusals.js'

export type { Broker, BrokerEvents } from './broker.js'
export type { Publication } from '../publication.js'

/** The part of an ioredis client that is used. */
export interface RedisClient {
  readonly status: string
  duplicate (options: object): RedisClient
  connect (): Promise<unknown>
  disconnect (): void
  ping (): Promise<unknown>
  publish (channel: string, message: Buffer): Promise<unknown>
  subscribe (...channels: string[]): Promise<unknown>
  unsubscribe (...channels: string[]): Promise<unknown>
  on (event: string, listener: (...args: never[]) => void): unknown
}

export interface RedisBrokerOptions {
  /** A client of ioredis. Two connections are made with its settings; it stays yours, and need not be connected. */
  readonly client: RedisClient
  /** Before the topic in the name of each channel. Default `'fastkeep:topic:'`. */
  readonly prefix?: string
}

const checkOptions = optionChecker('websocket')
const client: Rule = { expected: 'a client of ioredis', accepts: value => typeof value === 'object' && value !== null && 'duplicate' in value && typeof value.duplicate === 'function' }
const rules = { client, prefix: string('a string of 1 to 100 characters', /^[^]{1,100}$/) }

/** ms that Redis may take to answer, or to be connected to, before the connection is given up. */
const ANSWER_TIMEOUT = 2_000

/** ms between two questions whether the connection that only listens is still there. */
const PING_INTERVAL = 5_000

/** ms between two attempts to connect, at most. */
const LONGEST_WAIT = 1_000

/** Bytes of publications that Redis has not answered; beyond them it counts as away. */
const MAX_UNANSWERED = 16 * 1024 * 1024

const CHANNELS_AT_ONCE = 1_000

/** ms between two attempts to subscribe to what Redis refuses, at most. */
const LONGEST_WAIT_REFUSED = 30_000

const CONNECTION = {
  // Channels are named here alone.
  keyPrefix: '',
  lazyConnect: true,
  connectTimeout: ANSWER_TIMEOUT,
  socketTimeout: ANSWER_TIMEOUT,
  // Nothing is kept for later, and nothing sent twice: a publication may already have been carried.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  retryStrategy: (attempt: number) => waitBefore(attempt, LONGEST_WAIT),
}

/** ms, with full jitter: many processes lose their Redis at the same time. */
function waitBefore (attempt: number, longest: number): number {
  return Math.ceil(Math.random() * Math.min(longest, 50 * 2 ** Math.min(attempt, 20)))
}

/**
 * Carries publications over Redis or Valkey, for many machines: one channel a topic, to which a process subscribes while
 * it has subscribers of its own. At most once, as Redis has it.
 *
 * @example
 * import { Redis } from 'ioredis'
 * import { redisBroker } from '@fastkeep/websocket/redis'
 * await app.register(websocket, { broker: redisBroker({ client: new Redis({ host: 'redis.internal', lazyConnect: true }) }) })
 */
export function redisBroker (options: RedisBrokerOptions): Broker {
  checkOptions(options, rules)
  return new RedisBroker(options)
}

class RedisBroker implements Broker {
  readonly #publisher: RedisClient
  readonly #subscriber: RedisClient
  readonly #prefix: string
  readonly #origin = randomBytes(ORIGIN_SIZE)
  readonly #topics = new Set<string>()
  #events: BrokerEvents | undefined
  #pings: NodeJS.Timeout | undefined
  /** The subscriber is connected, and subscribed to all that is wanted and not refused. */
  #hears = false
  #isAway = false
  #unansweredBytes = 0
  #missed = 0
  /** Topics that are wanted, and that Redis does not let this process subscribe to. */
  readonly #refused = new Set<string>()
  /** What is told of them, and of those to which it must not publish. */
  readonly #unheard: Refusals
  readonly #unsaid: Refusals
  #retry: NodeJS.Timeout | undefined
  #attempts = 0

  constructor ({ client, prefix = 'fastkeep:topic:' }: RedisBrokerOptions) {
    this.#prefix = prefix
    this.#publisher = client.duplicate(CONNECTION)
    this.#subscriber = client.duplicate(CONNECTION)
    const told: Pick<BrokerEvents, 'away' | 'back'> = {
      away: (error, topic) => this.#events?.away(error, topic),
      back: (missed, topic) => this.#events?.back(missed, topic),
    }
    this.#unheard = new Refusals(told)
    this.#unsaid = new Refusals(told)
  }

  async open (events: BrokerEvents): Promise<void> {
    this.#events = events
    for (const connection of [this.#publisher, this.#subscriber]) {
      connection.on('error', (error: Error) => this.#away(error))
      connection.on('close', () => this.#away(new Error('the connection was closed')))
    }
    this.#publisher.on('ready', () => this.#backIfWhole())
    this.#subscriber.on('close', () => { this.#hears = false })
    this.#subscriber.on('ready', () => {
      this.#subscribeTo([...this.#topics]).then(() => {
        this.#hears = true
        this.#backIfWhole()
      }, (error: Error) => this.#away(error))
    })
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const publication = decode(channel.toString().slice(this.#prefix.length), message, this.#origin)
      if (publication !== undefined) events.deliver(publication)
    })
    this.#pings = setInterval(() => this.#ping(), PING_INTERVAL).unref()
    await Promise.allSettled([this.#publisher.connect(), this.#subscriber.connect()])
  }

  publish (publication: Publication): void {
    const { topic } = publication
    const message = encode(publication, this.#origin)
    if (this.#publisher.status !== 'ready') return this.#miss(new Error('it is not connected'))
    if (this.#unansweredBytes + message.length > MAX_UNANSWERED) return this.#miss(new Error('it does not answer fast enough'))
    this.#unansweredBytes += message.length
    this.#publisher.publish(this.#prefix + topic, message).finally(() => { this.#unansweredBytes -= message.length }).then(
      () => {
        this.#unsaid.remove(topic)
        this.#backIfWhole()
      },
      (error: Error) => {
        if (isRefusal(error)) this.#unsaid.add(topic, plain(error), 1)
        else this.#miss(error)
      }
    )
  }

  subscribe (topic: string): void {
    this.#topics.add(topic)
    // Before that, it is among all that is subscribed to when the connection is ready.
    if (this.#subscriber.status === 'ready') this.#subscribeTo([topic]).catch((error: Error) => this.#away(error))
  }

  unsubscribe (topic: string): void {
    this.#topics.delete(topic)
    this.#refused.delete(topic)
    // One channel too many does no harm.
    if (this.#subscriber.status === 'ready') this.#subscriber.unsubscribe(this.#prefix + topic).catch(() => {})
  }

  async close (): Promise<void> {
    this.#events = undefined
    clearInterval(this.#pings)
    clearTimeout(this.#retry)
    this.#publisher.disconnect()
    this.#subscriber.disconnect()
  }

  /** Rejects when the connection is lost; what Redis refuses is told, and asked for again. */
  async #subscribeTo (topics: readonly string[]): Promise<void> {
    for (let start = 0; start < topics.length; start += CHANNELS_AT_ONCE) {
      // Nobody may want it any more.
      const some = topics.slice(start, start + CHANNELS_AT_ONCE).filter(topic => this.#topics.has(topic))
      if (some.length === 0) continue
      try {
        await this.#subscriber.subscribe(...some.map(topic => this.#prefix + topic))
        for (const topic of some) {
          this.#refused.delete(topic)
          this.#unheard.remove(topic)
        }
      } catch (error) {
        if (!isRefusal(error)) throw error
        // One that is refused refuses all that are in its command.
        if (some.length > 1) await Promise.all(some.map(topic => this.#subscribeTo([topic])))
        else this.#refuse(some[0] as string, error)
      }
    }
  }

  #refuse (topic: string, error: Error): void {
    if (!this.#topics.has(topic)) return
    if (this.#refused.size === 0) this.#attempts = 0
    this.#refused.add(topic)
    this.#unheard.add(topic, plain(error))
    this.#retry ??= setTimeout(() => this.#askAgain(), waitBefore(++this.#attempts, LONGEST_WAIT_REFUSED)).unref()
  }

  #askAgain (): void {
    this.#retry = undefined
    // If the connection is lost meanwhile, all is asked for again when it is back.
    this.#subscribeTo([...this.#refused]).catch(() => {})
  }

  #ping (): void {
    for (const connection of [this.#publisher, this.#subscriber]) {
      // No answer within ANSWER_TIMEOUT closes the connection, and that is heard of.
      if (connection.status === 'ready') connection.ping().catch(() => {})
    }
  }

  #miss (error: Error): void {
    this.#missed++
    this.#away(error)
  }

  #away (error: Error): void {
    if (this.#isAway) return
    this.#isAway = true
    this.#events?.away(plain(error))
  }

  #backIfWhole (): void {
    if (!this.#isAway || !this.#hears || this.#publisher.status !== 'ready') return
    this.#isAway = false
    const missed = this.#missed
    this.#missed = 0
    this.#events?.back(missed)
  }
}

/** Whether Redis has answered, with a no. */
function isRefusal (error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Without the command that ioredis hangs on an error, which may hold a password or a message. */
function plain ({ message }: Error): Error {
  return new Error(message)
}
