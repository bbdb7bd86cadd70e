import { MessageInvalid, TopicInvalid } from './errors.js'
import type { GuardedWebSocket } from './socket.js'

const MAX_TOPIC_LENGTH = 256

/** Who has subscribed to what, in this process. */
export class Topics {
  readonly #subscribers = new Map<string, Set<GuardedWebSocket>>()
  readonly #topics = new Map<GuardedWebSocket, Set<string>>()

  check (topic: unknown): void {
    checkTopic(topic)
  }

  countOf (socket: GuardedWebSocket): number {
    return this.#topics.get(socket)?.size ?? 0
  }

  subscribe (socket: GuardedWebSocket, topic: string): void {
    checkTopic(topic)
    // A closed socket never says so again: it would stay for ever.
    if (socket.readyState !== socket.OPEN) return
    entry(this.#subscribers, topic).add(socket)
    if (!this.#topics.has(socket)) socket.once('close', () => this.#leaveAll(socket))
    entry(this.#topics, socket).add(topic)
  }

  unsubscribe (socket: GuardedWebSocket, topic: string): void {
    checkTopic(topic)
    this.#topics.get(socket)?.delete(topic)
    this.#leave(socket, topic)
  }

  publish (topic: string, message: string | Uint8Array): number {
    checkTopic(topic)
    checkMessage(message)
    const binary = typeof message !== 'string'
    const data = binary ? message : Buffer.from(message)
    let count = 0
    for (const socket of this.subscribers(topic)) {
      socket.send(data, { binary })
      // `send` closes a slow reader instead.
      if (socket.readyState === socket.OPEN) count++
    }
    return count
  }

  subscribers (topic: string): ReadonlySet<GuardedWebSocket> {
    checkTopic(topic)
    return new Set([...this.#subscribers.get(topic) ?? []].filter(socket => socket.readyState === socket.OPEN))
  }

  #leave (socket: GuardedWebSocket, topic: string): void {
    const sockets = this.#subscribers.get(topic)
    if (sockets?.delete(socket) === true && sockets.size === 0) this.#subscribers.delete(topic)
  }

  #leaveAll (socket: GuardedWebSocket): void {
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

function checkTopic (topic: unknown): void {
  if (typeof topic === 'string' && topic !== '' && topic.length <= MAX_TOPIC_LENGTH && !/[*#+]/.test(topic)) return
  throw new TopicInvalid(typeof topic === 'string' ? JSON.stringify(topic.slice(0, 80)) : `a value of type ${typeof topic}`)
}

function checkMessage (message: unknown): void {
  if (typeof message === 'string' || message instanceof Uint8Array) return
  throw new MessageInvalid(message === null ? 'null' : `a value of type ${typeof message}`)
}
