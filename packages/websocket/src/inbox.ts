import { errorMonitor } from 'node:events'
import type { WebSocket } from 'ws'

export interface InboxOwner {
  /** Messages that may wait until someone is there to take them, and bytes of them. */
  readonly policy: { readonly maxPendingMessages: number, readonly maxPayload: number }
  /** A message that need not wait, or no longer. */
  consume (data: unknown, isBinary: boolean): void
  /** More came than may wait. The inbox has stopped. */
  overflowed (): void
  /** A listener threw or rejected. The inbox has stopped. */
  failed (error: unknown): void
}

/** These end a socket, and reach all its listeners even if some have failed: those that free what it holds are among them. */
const LAST_EVENTS: ReadonlySet<string | symbol> = new Set(['close', 'error', errorMonitor])

/**
 * Makes two promises for the listeners of a socket:
 * - a message that comes before the first `message` listener is held and delivered to it, in order;
 * - a listener that throws or rejects is reported, where else it would end the process.
 */
export class Inbox {
  readonly #socket: WebSocket
  readonly #owner: InboxOwner
  readonly #containsErrors: boolean
  readonly #holdsUntilReleased: boolean
  #held: Array<[data: unknown, isBinary: boolean]> | undefined = []
  #heldBytes = 0
  #hasStopped = false

  constructor (socket: WebSocket, owner: InboxOwner, holdsUntilReleased: boolean, containsErrors: boolean) {
    this.#socket = socket
    this.#owner = owner
    this.#containsErrors = containsErrors
    this.#holdsUntilReleased = holdsUntilReleased
  }

  /** How many messages wait. */
  get held (): number {
    return this.#held?.length ?? 0
  }

  /** A `message` listener is about to be attached, and others may be in the same breath. */
  expectListener (): void {
    if (!this.#holdsUntilReleased && this.#held !== undefined) queueMicrotask(() => this.release())
  }

  take (data: unknown, isBinary: boolean): void {
    if (this.#hasStopped) return
    if (this.#held === undefined) {
      this.#owner.consume(data, isBinary)
      return
    }
    this.#heldBytes += byteLength(data)
    this.#held.push([data, isBinary])
    const { maxPendingMessages, maxPayload } = this.#owner.policy
    if (this.#held.length <= maxPendingMessages && this.#heldBytes <= maxPayload) return
    this.stop()
    this.#owner.overflowed()
  }

  /** Ends the holding: from now on a message that nobody listens to is dropped, as ws does. */
  release (): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const [data, isBinary] of held) if (!this.#hasStopped) this.#owner.consume(data, isBinary)
  }

  /** Calls the listeners of an event, all of them for one that ends the socket. */
  deliver (event: string | symbol, args: readonly unknown[]): void {
    for (const listener of this.#socket.rawListeners(event)) {
      if (this.#hasStopped && !LAST_EVENTS.has(event)) return
      if (!this.#containsErrors) {
        Reflect.apply(listener, this.#socket, args)
        continue
      }
      try {
        const result: unknown = Reflect.apply(listener, this.#socket, args)
        if (result instanceof Promise) result.catch((error: unknown) => this.fail(error))
      } catch (error) {
        this.fail(error)
      }
    }
  }

  /** Treats an error of the handler like one of a listener. */
  fail (error: unknown): void {
    this.stop()
    this.#owner.failed(error)
  }

  /** No message, ping or pong is delivered any more, and what is held is gone. */
  stop (): void {
    this.#hasStopped = true
    this.#held = undefined
  }
}

/** ws gives a Buffer, an ArrayBuffer or an array of Buffers, as the socket's `binaryType` says. */
export function byteLength (data: unknown): number {
  if (Array.isArray(data)) return data.reduce<number>((sum, part) => sum + byteLength(part), 0)
  return (data as ArrayBuffer).byteLength
}
