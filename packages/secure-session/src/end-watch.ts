import type { FastifyBaseLogger } from 'fastify'
import type { SessionMode } from './mode.js'
import type { SessionEndReason } from './session.js'
import type { SessionRecord } from './session-record.js'

/** How often (ms) sessions that something depends on are asked about, for what happens in other processes. */
const INTERVAL = 10_000

/** How many are asked about at the same time. */
const AT_A_TIME = 100

type Listener = (reason: SessionEndReason) => unknown

interface Watched {
  readonly record: SessionRecord
  /** Of the key that its cookie was sealed with; a session that is new has none yet. */
  readonly keyId: Buffer | undefined
  readonly listeners: Set<Listener>
}

/** Tells who waits for it that a session has ended. While nobody waits it does nothing. */
export class EndWatch {
  readonly #mode: SessionMode
  readonly #absoluteTimeout: number
  readonly #log: FastifyBaseLogger
  readonly #announce: (handle: string) => void
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined

  /**
   * @param absoluteTimeout seconds
   * @param announce tells other processes of a session that this one has ended
   */
  constructor (mode: SessionMode, absoluteTimeout: number, log: FastifyBaseLogger, announce: (handle: string) => void = () => {}) {
    this.#mode = mode
    this.#log = log
    this.#announce = announce
    this.#absoluteTimeout = absoluteTimeout
  }

  /** @returns a function that takes the listener away */
  add (record: SessionRecord, keyId: Buffer | undefined, listener: Listener): () => void {
    const handle = this.#mode.handleOf(record.id)
    const watched = this.#watched.get(handle) ?? { record, keyId, listeners: new Set() }
    watched.listeners.add(listener)
    this.#watched.set(handle, watched)
    this.#timer ??= setInterval(() => { this.#round ??= this.#ask().finally(() => { this.#round = undefined }) }, INTERVAL).unref()
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size === 0 && this.#watched.get(handle) === watched) this.#forget(handle)
    }
  }

  /** This process has ended a session. */
  end (handle: string, reason: SessionEndReason): void {
    this.#announce(handle)
    this.#end(handle, reason)
  }

  /** Another process has ended a session. */
  hear (handle: string): void {
    this.#end(handle, 'ended')
  }

  #end (handle: string, reason: SessionEndReason): void {
    const watched = this.#watched.get(handle)
    if (watched === undefined) return
    this.#forget(handle)
    for (const listener of watched.listeners) this.#tell(listener, reason)
  }

  /** This process has ended all sessions of a subject: these, and perhaps others that had begun meanwhile. */
  endAll (subject: string, handles: readonly string[]): void {
    for (const handle of handles) this.end(handle, 'destroyed')
    for (const [handle, { record }] of this.#watched) if (record.subject === subject) this.#end(handle, 'destroyed')
  }

  /** Keys have left the ring. */
  endUnder (isGone: (keyId: Buffer) => boolean): void {
    for (const [handle, { keyId }] of this.#watched) if (keyId !== undefined && isGone(keyId)) this.#end(handle, 'ended')
  }

  close (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#watched.clear()
  }

  /** Whoever ends a session has its own work done first. */
  #tell (listener: Listener, reason: SessionEndReason): void {
    Promise.resolve(reason).then(listener).catch((err: unknown) => {
      this.#log.error({ err, code: 'FST_KEEP_SECURE_SESSION_LISTENER_FAILED' }, 'a listener of session.onEnd() failed')
    })
  }

  #forget (handle: string): void {
    this.#watched.delete(handle)
    if (this.#watched.size === 0) this.close()
  }

  async #ask (): Promise<void> {
    const watched = [...this.#watched]
    for (let start = 0; start < watched.length; start += AT_A_TIME) {
      await Promise.all(watched.slice(start, start + AT_A_TIME).map(async ([handle, { record }]) => {
        if (!await this.#isAlive(record)) this.#end(handle, 'ended')
      }))
    }
  }

  async #isAlive (record: SessionRecord): Promise<boolean> {
    if (Date.now() / 1000 - record.createdAt >= this.#absoluteTimeout) return false
    try {
      return await this.#mode.isAlive(record)
    } catch {
      // A store that cannot be reached has not said that the session ended.
      return true
    }
  }
}
