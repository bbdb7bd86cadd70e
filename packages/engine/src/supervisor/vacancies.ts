import { RespawnBackoff } from './respawn-backoff.js'
import type { Log } from './workers.js'

/** Places whose worker has ended by itself, until they are filled again: at once, or after growing pauses. */
export class Vacancies {
  readonly #fill: (slot: number) => void
  readonly #log: Log
  readonly #slots = new Set<number>()
  readonly #backoff = new RespawnBackoff()

  constructor (fill: (slot: number) => void, log: Log) {
    this.#fill = fill
    this.#log = log
  }

  get slots (): ReadonlySet<number> {
    return this.#slots
  }

  /** Whether workers have ended again and again of late. */
  get isLooping (): boolean {
    return this.#backoff.isLooping
  }

  /**
   * @param served ms for which the worker had served; 0 for one that did not come to
   * @param leastPause ms before it is filled
   */
  add (slot: number, served: number, leastPause = 0): void {
    if (this.#slots.has(slot)) return
    this.#slots.add(slot)
    const wasLooping = this.isLooping
    const pause = this.#backoff.next(slot, served)
    if (this.isLooping && !wasLooping) this.#log('Workers end again and again: see why the last ones ended', 'fatal', 'FST_KEEP_ENGINE_CRASH_LOOP')
    if (pause > 0) this.#log(`Worker ${slot} is started again in ${pause} ms`, 'warn')
    setTimeout(() => {
      this.#slots.delete(slot)
      this.#fill(slot)
    }, Math.max(pause, leastPause)).unref()
  }

  /** All workers are new and serve: what came before counts no more. */
  forget (): void {
    this.#backoff.reset()
  }
}
