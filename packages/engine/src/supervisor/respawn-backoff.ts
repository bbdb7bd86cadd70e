/** ms. */
const FIRST_DELAY = 100
const LONGEST_DELAY = 30_000

/** ms for which a worker must have served for its end not to count as one of a row. */
const HEALTHY_AFTER = 30_000

/** Ends in a row from which it is called a crash loop. */
const LOOP_AFTER = 5

/**
 * How long to wait before a worker is started in the place of one that ended by itself: not at all the first time, then
 * 100, 200, 400 ... 30,000 ms, each shortened by up to a quarter at random, so that several do not come back at once.
 */
export class RespawnBackoff {
  #inARow = 0

  /** Whether workers end again and again without having served for long. */
  get isLooping (): boolean {
    return this.#inARow >= LOOP_AFTER
  }

  /**
   * @param served ms for which the worker that ended had served
   * @returns ms to wait
   */
  next (served: number): number {
    this.#inARow = served >= HEALTHY_AFTER ? 1 : this.#inARow + 1
    if (this.#inARow === 1) return 0
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.#inARow - 2))
    return Math.round(delay * (1 - Math.random() / 4))
  }

  reset (): void {
    this.#inARow = 0
  }
}
