import type { SessionMode } from './mode.js'
import type { SessionEndReason } from './session.js'
import type { SessionRecord } from './session-record.js'

/** How often (ms) sessions that something depends on are asked about, for what happens in other processes. */
const INTERVAL = 10_000

type Listener = (reason: SessionEndReason) => void

interface Watched {
  readonly record: SessionRecord
  readonly listeners: Set<Listener>
}

/** Tells who waits for it that a session has ended. While nobody waits it does nothing. */
export class EndWatch {
  readonly #mode: SessionMode
  readonly #absoluteTimeout: number
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined

  /** @param absoluteTimeout seconds */
  constructor (mode: SessionMode, absoluteTimeout: number) {
    this.#mode = mode
    this.#absoluteTimeout = absoluteTimeout
  }

  /** @returns a function that takes the listener away */
  add (record: SessionRecord, listener: Listener): () => void {
    const handle = this.#mode.handleOf(record.id)
    const watched = this.#watched.get(handle) ?? { record, listeners: new Set() }
    watched.listeners.add(listener)
    this.#watched.set(handle, watched)
    this.#timer ??= setInterval(() => { this.#ask().catch(() => {}) }, INTERVAL).unref()
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size === 0 && this.#watched.get(handle) === watched) this.#forget(handle)
    }
  }

  /** A session ended in this process. */
  end (handle: string, reason: SessionEndReason): void {
    const watched = this.#watched.get(handle)
    if (watched === undefined) return
    this.#forget(handle)
    for (const listener of watched.listeners) queueMicrotask(() => listener(reason))
  }

  /** All sessions of a subject ended in this process. */
  endAll (subject: string): void {
    for (const [handle, { record }] of this.#watched) if (record.subject === subject) this.end(handle, 'destroyed')
  }

  close (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#watched.clear()
  }

  #forget (handle: string): void {
    this.#watched.delete(handle)
    if (this.#watched.size === 0) this.close()
  }

  async #ask (): Promise<void> {
    for (const [handle, { record }] of this.#watched) {
      const isOver = Date.now() / 1000 - record.createdAt >= this.#absoluteTimeout
      // A store that cannot be reached has not said that the session ended.
      if (isOver || !await Promise.resolve(this.#mode.isAlive(record)).catch(() => true)) this.end(handle, 'ended')
    }
  }
}
