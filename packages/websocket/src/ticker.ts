/** ms between two looks, unless a timeout is so short that it asks for more. */
const LONGEST = 1_000
const SHORTEST = 10
/** A timeout is noticed this part of it late at most. */
const PRECISION = 8

/** One timer for the timeouts of many. It runs while there is something to look at, and keeps no process alive. */
export class Ticker {
  readonly #look: (now: number) => boolean
  #interval = LONGEST
  #timer: NodeJS.Timeout | undefined

  /** @param look at all of them, by a time in ms of `performance.now()` until which all that came has been read; returns whether there are any */
  constructor (look: (now: number) => boolean) {
    this.#look = look
  }

  /** There is a timeout (ms, `0` for none) that is to be noticed in time. */
  expect (timeout: number): void {
    if (timeout > 0) this.#interval = Math.max(SHORTEST, Math.min(this.#interval, timeout / PRECISION))
  }

  /** There is something to look at. */
  start (): void {
    this.#timer ??= setInterval(() => {
      const now = performance.now()
      // After the sockets have been read: where the process was held up, answers wait there.
      setImmediate(() => { if (!this.#look(now)) this.stop() })
    }, this.#interval).unref()
  }

  stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
