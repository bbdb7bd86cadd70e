import { setTimeout as delay } from 'node:timers/promises'

/**
 * The time between readiness going off and the first socket being closed: load balancers that ask for readiness now and
 * then send nothing any more when the drain begins. New and idle connections are served meanwhile.
 */
export class DrainDelay {
  readonly ms: number
  #skipped = new AbortController()

  /** @param ms 0 for none */
  constructor (ms: number) {
    this.ms = ms
  }

  get isSkipped (): boolean {
    return this.ms === 0 || this.#skipped.signal.aborted
  }

  async wait (): Promise<void> {
    if (!this.isSkipped) await delay(this.ms, undefined, { signal: this.#skipped.signal }).catch(() => {})
  }

  /** Ends the wait, or has it not begin. */
  skip (): void {
    this.#skipped.abort()
  }

  /** For a bus that starts once more. */
  reset (): void {
    if (this.#skipped.signal.aborted) this.#skipped = new AbortController()
  }
}
