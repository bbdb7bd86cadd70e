import type { Broker } from './brokers/broker.js'
import { KeyInvalid, TopicInvalid } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'
import { publicationOf, PublishedFrames, type Publication } from './publication.js'
import { Turn } from './turn.js'

/** Characters of a topic or a key. */
const MAX_LENGTH = 256

/** Who has subscribed to what, in this process. */
export class Topics {
  /** In which the sockets write. */
  readonly turn = new Turn()
  readonly #broker: Broker
  readonly #subscribers = new Map<string, Set<InnerSocket>>()
  readonly #topics = new Map<InnerSocket, Set<string>>()

  constructor (broker: Broker) {
    this.#broker = broker
  }

  subscribe (socket: InnerSocket, topic: string): void {
    this.check(topic)
    // A closed socket never says so again: it would stay for ever.
    if (socket.readyState !== socket.OPEN) return
    const sockets = entry(this.#subscribers, topic)
    if (sockets.size === 0) this.#broker.subscribe(topic)
    sockets.add(socket)
    if (!this.#topics.has(socket)) socket.once('close', () => this.#leaveAll(socket))
    entry(this.#topics, socket).add(topic)
  }

  unsubscribe (socket: InnerSocket, topic: string): void {
    this.check(topic)
    this.#topics.get(socket)?.delete(topic)
    this.#leave(socket, topic)
  }

  /** To the sockets of this process and, by the broker, to those of others. @returns the number of sockets here */
  publish (topic: string, message: unknown, key?: string): number {
    this.check(topic)
    if (key !== undefined && !isName(key)) throw new KeyInvalid(shown(key))
    const publication = publicationOf(topic, message, key)
    const count = this.deliver(publication)
    this.#broker.publish(publication)
    return count
  }

  /** To the sockets of this process. @returns how many it goes to */
  deliver (publication: Publication): number {
    const { topic, key = topic } = publication
    const sockets = this.#subscribers.get(topic)
    if (sockets === undefined) return 0
    const frames = new PublishedFrames(publication)
    let count = 0
    for (const { outbox, guard } of sockets) {
      if (outbox.publish(guard.policy.hasEnvelopes ? frames.enveloped : frames.plain, key)) count++
    }
    return count
  }

  subscribers (topic: string): ReadonlySet<InnerSocket> {
    this.check(topic)
    return new Set([...this.#subscribers.get(topic) ?? []].filter(socket => socket.readyState === socket.OPEN))
  }

  /** The number of open sockets of this process. */
  presence (topic: string): number {
    this.check(topic)
    let count = 0
    for (const { readyState, OPEN } of this.#subscribers.get(topic) ?? []) if (readyState === OPEN) count++
    return count
  }

  /** The number of topics that the socket has subscribed to. */
  countOf (socket: InnerSocket): number {
    return this.#topics.get(socket)?.size ?? 0
  }

  has (socket: InnerSocket, topic: string): boolean {
    return this.#topics.get(socket)?.has(topic) === true
  }

  /** Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID for what is no name of a topic. */
  check (topic: unknown): void {
    if (!isName(topic) || /[*#+]/.test(topic)) throw new TopicInvalid(shown(topic))
  }

  #leave (socket: InnerSocket, topic: string): void {
    const sockets = this.#subscribers.get(topic)
    if (sockets?.delete(socket) !== true || sockets.size > 0) return
    this.#subscribers.delete(topic)
    this.#broker.unsubscribe(topic)
  }

  #leaveAll (socket: InnerSocket): void {
    for (const topic of this.#topics.get(socket) ?? []) this.#leave(socket, topic)
    this.#topics.delete(socket)
  }
}

function entry<K, V> (map: Map<K, Set<V>>, key: K): Set<V> {
  const present = map.get(key)
  if (present !== undefined) return present
  const added = new Set<V>()
  map.set(key, added)
  return added
}

function isName (value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH
}

function shown (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : `a value of type ${typeof value}`
}
