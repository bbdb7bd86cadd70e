import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Backlog, type Leaving } from './backlog.js'
import type { Batch } from './batch.js'
import { SendFailed } from './errors.js'
import type { Frame } from './frame.js'
import type { RoutePolicy } from './route-policy.js'
import type { Turn, Writer } from './turn.js'

/** What ws takes as a message. */
export type Data = Parameters<WebSocket['send']>[0]

export interface SendOptions {
  binary?: boolean | undefined
  compress?: boolean | undefined
  fin?: boolean | undefined
  mask?: boolean | undefined
}

export type SendCallback = (error?: Error) => void

/** The socket under an outbox. */
export interface Outlet {
  readonly isOpen: boolean
  /** Bytes that ws has not handed to the system yet. */
  readonly unsentBytes: number
  /** Where finished frames may be written; `undefined` for a socket that needs frames of its own. */
  readonly stream: Duplex | undefined
  transmit (message: Data, options: SendOptions, callback?: SendCallback): void
  /** Something was written to the stream. */
  onWrite (): void
  /** More than `maxBufferedBytes` waits: closes the socket. */
  onSlowReader (): void
  /**
   * Publications to a reader that is behind are left out.
   *
   * @param isFirst since it has last caught up
   */
  onLeftOut (count: number, isFirst: boolean): void
}

/** Bytes of a batch that are written before the turn is over, so that what the system would take does not wait here. */
const WRITE_SIZE = 64 * 1024

/** All that goes to one socket, in the order in which it was sent or published. */
export class Outbox implements Writer {
  readonly #outlet: Outlet
  readonly #policy: Pick<RoutePolicy, 'maxBufferedBytes' | 'slowReader'>
  readonly #turn: Turn
  /** What was published in this turn. */
  #batch: Batch | undefined
  #backlog: Backlog | undefined
  /** The first fragments of a message have been sent: only the rest of it may follow (RFC 6455, 5.4). */
  #isFragmented = false
  /** Called when something was written, where something may wait for that. */
  readonly #onWritten: (() => void) | undefined

  constructor (outlet: Outlet, policy: Pick<RoutePolicy, 'maxBufferedBytes' | 'slowReader'>, turn: Turn) {
    this.#outlet = outlet
    this.#policy = policy
    this.#turn = turn
    this.#onWritten = policy.slowReader === 'close' ? undefined : () => this.#catchUp()
  }

  /** Bytes that wait here for their turn or their reader. */
  get size (): number {
    return (this.#batch?.size ?? 0) + (this.#backlog?.size ?? 0)
  }

  /**
   * @param key under `keep-latest` the one that takes the place of an earlier one that still waits
   * @returns whether it will be written, or waits to be
   */
  publish (frame: Frame, key: string): boolean {
    if (!this.#outlet.isOpen) return false
    const { slowReader } = this.#policy
    if (slowReader !== 'close') {
      if (this.#isBehind) return this.#hold(frame, key, slowReader)
    } else if (this.#isOverfull) {
      this.#outlet.onSlowReader()
      return false
    }
    this.#batch = (this.#batch ?? this.#turn.join(this)).with(frame)
    if (this.#batch.size >= WRITE_SIZE) this.flush()
    return true
  }

  send (message: Data, options: SendOptions, callback?: SendCallback): void {
    if (this.#outlet.isOpen && this.#isOverfull) this.#outlet.onSlowReader()
    this.release()
    const onWritten = this.#onWritten
    // ws tells the callback of a socket that is not open, and sends nothing.
    this.#outlet.transmit(message, options, onWritten === undefined
      ? callback
      : error => {
        onWritten()
        callback?.(error)
      })
    const wasFragmented = this.#isFragmented
    this.#isFragmented = options.fin === false
    if (wasFragmented) this.release()
  }

  /** Resolves when the system has taken the message. */
  async sendAsync (message: Data, options: SendOptions = {}): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.send(message, options, cause => cause instanceof Error ? reject(new SendFailed({ cause })) : resolve())
    })
  }

  /** Writes all that waits here, because something is to come after it. */
  release (): void {
    this.flush()
    if (this.#backlog === undefined || this.#isFragmented) return
    const frames = this.#backlog.take(Infinity)
    this.#backlog = undefined
    this.#write(frames)
  }

  flush (): void {
    const batch = this.#batch
    if (batch === undefined || this.#isFragmented) return
    this.#batch = undefined
    const stream = this.#idleStream
    if (stream === undefined) this.#write(batch.frames)
    else if (this.#outlet.isOpen) this.#writeTo(stream, batch.bytes)
  }

  #write (frames: readonly Frame[]): void {
    if (!this.#outlet.isOpen) return
    const stream = this.#idleStream
    stream?.cork()
    for (const frame of frames) {
      if (stream === undefined) this.#outlet.transmit(frame.payload, { binary: frame.isBinary }, this.#onWritten)
      else this.#writeTo(stream, frame.bytes)
    }
    stream?.uncork()
  }

  #writeTo (stream: Duplex, bytes: Buffer): void {
    stream.write(bytes, this.#onWritten)
    this.#outlet.onWrite()
  }

  /** The stream, unless ws holds something that comes first: a Blob that it reads, or what it compresses. */
  get #idleStream (): Duplex | undefined {
    const { stream, unsentBytes } = this.#outlet
    return stream?.writableLength === unsentBytes ? stream : undefined
  }

  get #isOverfull (): boolean {
    return this.#outlet.unsentBytes + this.size > this.#policy.maxBufferedBytes
  }

  get #isBehind (): boolean {
    return this.#backlog !== undefined || this.#isFragmented || this.#outlet.unsentBytes >= WRITE_SIZE
  }

  #hold (frame: Frame, key: string, leaving: Leaving): true {
    this.flush()
    this.#backlog ??= new Backlog(leaving)
    // The other half of the room is for what is sent to this socket alone, which is never left out.
    const count = this.#backlog.add(frame, key, this.#policy.maxBufferedBytes / 2 - this.#outlet.unsentBytes)
    if (count === 0) return true
    this.#outlet.onLeftOut(count, !this.#backlog.hasLeftOut)
    this.#backlog.hasLeftOut = true
    return true
  }

  /** Writes of what was held as much as the system takes. */
  #catchUp (): void {
    while (this.#backlog !== undefined && !this.#isFragmented && this.#outlet.isOpen && this.#outlet.unsentBytes < WRITE_SIZE) {
      this.#write(this.#backlog.take(WRITE_SIZE))
      if (this.#backlog.isEmpty) this.#backlog = undefined
    }
  }
}
