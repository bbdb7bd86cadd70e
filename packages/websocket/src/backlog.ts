import type { Frame } from './frame.js'

/** What is left out when more publications wait for a slow reader than may. */
export type Leaving = 'drop-oldest' | 'keep-latest'

/** Small ones take more memory than their bytes. */
const MOST_FRAMES = 10_000

/** Publications held for a reader that is behind, in the order in which they were published. */
export class Backlog {
  hasLeftOut = false
  readonly #isKeyed: boolean
  readonly #frames = new Map<unknown, Frame>()
  #size = 0

  constructor (leaving: Leaving) {
    this.#isKeyed = leaving === 'keep-latest'
  }

  get size (): number {
    return this.#size
  }

  get isEmpty (): boolean {
    return this.#frames.size === 0
  }

  /**
   * Adds one; under `keep-latest` in the place of an earlier one of the same key.
   *
   * @param room bytes that may be held; the oldest go beyond it, the newest never
   * @returns how many were left out
   */
  add (frame: Frame, key: string, room: number): number {
    let left = this.#isKeyed ? this.#remove(key) : 0
    this.#frames.set(this.#isKeyed ? key : {}, frame)
    this.#size += frame.size
    for (const oldest of this.#frames.keys()) {
      if ((this.#size <= room && this.#frames.size <= MOST_FRAMES) || this.#frames.size === 1) break
      left += this.#remove(oldest)
    }
    return left
  }

  /** Takes out the oldest: those that fit into `size` bytes, one at least. */
  take (size: number): Frame[] {
    const taken: Frame[] = []
    let sum = 0
    for (const [key, frame] of this.#frames) {
      sum += frame.size
      if (taken.length > 0 && sum > size) break
      taken.push(frame)
      this.#remove(key)
    }
    return taken
  }

  #remove (key: unknown): number {
    const frame = this.#frames.get(key)
    if (frame === undefined) return 0
    this.#size -= frame.size
    this.#frames.delete(key)
    return 1
  }
}
