import type { Frame } from './frame.js'

/**
 * Frames to be written in one go. Batches never change: sockets that get the same frames in the same order share one,
 * and so the bytes are put together once for all of them.
 */
export class Batch {
  readonly size: number
  readonly #earlier: Batch | undefined
  readonly #frame: Frame | undefined
  #extended: Batch | undefined
  #bytes: Buffer | undefined

  constructor (earlier?: Batch, frame?: Frame) {
    this.#earlier = earlier
    this.#frame = frame
    this.size = (earlier?.size ?? 0) + (frame?.size ?? 0)
  }

  /** This batch and one frame more. Only the last one is remembered: a frame goes to all its sockets before the next one is made. */
  with (frame: Frame): Batch {
    if (this.#extended === undefined || this.#extended.#frame !== frame) this.#extended = new Batch(this, frame)
    return this.#extended
  }

  get frames (): Frame[] {
    return Batch.#framesOf(this)
  }

  static #framesOf (batch: Batch | undefined): Frame[] {
    const frames: Frame[] = []
    for (; batch !== undefined && batch.#frame !== undefined; batch = batch.#earlier) frames.push(batch.#frame)
    return frames.reverse()
  }

  get bytes (): Buffer {
    this.#bytes ??= this.#earlier === undefined || this.#earlier.size === 0
      ? this.#frame?.bytes ?? Buffer.alloc(0)
      : Buffer.concat(this.frames.map(frame => frame.bytes), this.size)
    return this.#bytes
  }
}
