/** ms. */
const FIRST_DELAY = 100
const LONGEST_DELAY = 30_000

/** Of those in a row that came to serve: starting works, and clients wait for the next one no longer than 400 ms. */
const MOST_COUNTED = 4

/** ms for which a worker must have served for its place to be filled without a pause. */
const LIVED_AFTER = 1_000

/** Ends within the window from which they are called a crash loop. */
const LOOP_AFTER = 5
/** ms. */
const LOOP_WINDOW = 30_000

/**
 * How long to wait before a place is filled again: not at all when its worker had served for a second, or the first time;
 * then 100, 200, 400 ms, and on to 30,000 ms where it does not come to serve, each shortened by up to a quarter at random,
 * so that several do not come back at once.
 */
export class RespawnBackoff {
  readonly #inARow = new Map<number, number>()
  #ends: number[] = []

  /** Whether workers have ended again and again of late. */
  get isLooping (): boolean {
    const since = performance.now() - LOOP_WINDOW
    this.#ends = this.#ends.filter(end => end > since)
    return this.#ends.length >= LOOP_AFTER
  }

  /**
   * @param slot whose place is to be filled
   * @param served ms for which the worker that ended had served; 0 for one that did not come to
   * @returns ms to wait
   */
  next (slot: number, served: number): number {
    this.#ends.push(performance.now())
    const inARow = served >= LIVED_AFTER ? 1 : Math.min((this.#inARow.get(slot) ?? 0) + 1, served > 0 ? MOST_COUNTED : Infinity)
    this.#inARow.set(slot, inARow)
    if (inARow === 1) return 0
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (inARow - 2))
    return Math.round(delay * (1 - Math.random() / 4))
  }

  reset (): void {
    this.#inARow.clear()
    this.#ends = []
  }
}
