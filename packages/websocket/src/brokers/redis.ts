import { randomBytes } from 'node:crypto'
import { optionChecker, string, type Rule } from '@fastkeep/options'
import type { Publication } from '../publication.js'
import type { Broker, BrokerEvents } from './broker.js'
import { decode, encode, ORIGIN_SIZE } from './redis-message.js'

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
  // Full jitter: many processes lose their Redis at the same time.
  retryStrategy: (attempt: number) => Math.ceil(Math.random() * Math.min(LONGEST_WAIT, 50 * 2 ** Math.min(attempt, 10))),
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
  /** The subscriber is connected, and subscribed to all that is wanted. */
  #hears = false
  #isAway = false
  #unansweredBytes = 0
  #missed = 0

  constructor ({ client, prefix = 'fastkeep:topic:' }: RedisBrokerOptions) {
    this.#prefix = prefix
    this.#publisher = client.duplicate(CONNECTION)
    this.#subscriber = client.duplicate(CONNECTION)
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
      this.#subscribeToAll().then(() => this.#backIfWhole(), (error: Error) => this.#away(error))
    })
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const publication = decode(channel.toString().slice(this.#prefix.length), message, this.#origin)
      if (publication !== undefined) events.deliver(publication)
    })
    this.#pings = setInterval(() => this.#ping(), PING_INTERVAL).unref()
    await Promise.allSettled([this.#publisher.connect(), this.#subscriber.connect()])
  }

  publish (publication: Publication): void {
    const message = encode(publication, this.#origin)
    if (this.#publisher.status !== 'ready') return this.#miss(new Error('it is not connected'))
    if (this.#unansweredBytes + message.length > MAX_UNANSWERED) return this.#miss(new Error('it does not answer fast enough'))
    this.#unansweredBytes += message.length
    this.#publisher.publish(this.#prefix + publication.topic, message).then(
      () => {
        this.#unansweredBytes -= message.length
        this.#backIfWhole()
      },
      (error: Error) => {
        this.#unansweredBytes -= message.length
        this.#miss(error)
      }
    )
  }

  subscribe (topic: string): void {
    this.#topics.add(topic)
    // Before that, it is among all that is subscribed to when the connection is ready.
    if (this.#subscriber.status === 'ready') this.#subscriber.subscribe(this.#prefix + topic).catch((error: Error) => this.#away(error))
  }

  unsubscribe (topic: string): void {
    this.#topics.delete(topic)
    // One channel too many does no harm.
    if (this.#subscriber.status === 'ready') this.#subscriber.unsubscribe(this.#prefix + topic).catch(() => {})
  }

  async close (): Promise<void> {
    this.#events = undefined
    clearInterval(this.#pings)
    this.#publisher.disconnect()
    this.#subscriber.disconnect()
  }

  async #subscribeToAll (): Promise<void> {
    const channels = [...this.#topics].map(topic => this.#prefix + topic)
    for (let start = 0; start < channels.length; start += CHANNELS_AT_ONCE) {
      await this.#subscriber.subscribe(...channels.slice(start, start + CHANNELS_AT_ONCE))
    }
    this.#hears = true
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
    this.#events?.away(error)
  }

  #backIfWhole (): void {
    if (!this.#isAway || !this.#hears || this.#publisher.status !== 'ready') return
    this.#isAway = false
    const missed = this.#missed
    this.#missed = 0
    this.#events?.back(missed)
  }
}
