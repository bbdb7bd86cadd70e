import type { PeerMessage } from './worker-messages.js'

type PeerListener = (data: unknown) => void

/**
 * The other workers of the same supervisor. What one sends all others get, in the order in which it was sent; at most
 * once: a worker that does not read, or that comes later, misses it.
 */
export class Peers {
  readonly #offer: (message: PeerMessage) => boolean
  readonly #listeners = new Map<string, Set<PeerListener>>()

  constructor (offer: (message: PeerMessage) => boolean) {
    this.#offer = offer
  }

  /**
   * @param topic who is to listen to it; begin it with the name of your package
   * @param data what JSON can carry
   * @returns `false` if it was dropped because the supervisor does not read
   * @example engine.peers?.send('chat:message', { room: 'a', text: 'hello' })
   */
  send (topic: string, data: unknown): boolean {
    return this.#offer({ type: 'peer', topic, data })
  }

  /** @returns a function that takes the listener away again */
  on (topic: string, listener: PeerListener): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners.add(listener))
    return () => { listeners.delete(listener) }
  }

  receive ({ topic, data }: PeerMessage): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(data)
      } catch (error) {
        // The others hear it all the same; this one's fault is as uncaught as that of any callback.
        process.nextTick(() => { throw error })
      }
    }
  }
}
