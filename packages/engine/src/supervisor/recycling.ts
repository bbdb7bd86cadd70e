import type { WorkerProcess } from './worker-process.js'

/** When a worker gives its place to a new one while it is well. `requests` and `age` vary by up to a fifth, so that not all go at once. */
export interface RecycleOptions {
  /** Requests that it has served. Default: never. */
  requests?: number
  /** ms for which it has served. Default: never. */
  age?: number
  /** Bytes of memory (resident set). Default: never. */
  memory?: number
}

/** ms without recycling after a new worker has failed. */
const PAUSE = 60_000

/** Which workers have had their time. */
export class Recycling {
  readonly #options: RecycleOptions
  readonly #shares = new WeakMap<WorkerProcess, number>()
  #pausedUntil = 0

  constructor (options: RecycleOptions) {
    this.#options = options
  }

  isDue (worker: WorkerProcess): boolean {
    const { requests = Infinity, age = Infinity, memory = Infinity } = this.#options
    const now = performance.now()
    if (now < this.#pausedUntil || worker.state !== 'ready') return false
    const share = this.#shareOf(worker)
    return worker.stats.requests > requests * share || now - worker.servesSince > age * share || worker.stats.memory > memory
  }

  /** A new one did not come to serve: the next ones would hardly do better. */
  pause (): void {
    this.#pausedUntil = performance.now() + PAUSE
  }

  #shareOf (worker: WorkerProcess): number {
    const share = this.#shares.get(worker) ?? 0.8 + Math.random() * 0.4
    this.#shares.set(worker, share)
    return share
  }
}
