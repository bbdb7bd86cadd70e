import { balance } from './balance.js'
import type { WorkerProcess } from './worker-process.js'
import type { Log } from './workers.js'

/** ms between two looks. */
const INTERVAL = 1_000

/** Looks at the workers that serve: ends the blocked ones, and keeps connections balanced among the others. */
export class WorkerWatch {
  readonly #workers: () => readonly WorkerProcess[]
  readonly #blockedAfter: number
  readonly #log: Log
  #timer: NodeJS.Timeout | undefined
  #lastLook = 0

  /** @param blockedAfter ms without a sign of life after which a worker counts as blocked */
  constructor (workers: () => readonly WorkerProcess[], blockedAfter: number, log: Log) {
    this.#workers = workers
    this.#blockedAfter = blockedAfter
    this.#log = log
  }

  /** @param onLook called after each look */
  start (onLook: () => void): void {
    this.#lastLook = performance.now()
    this.#timer = setInterval(() => { if (this.#look()) onLook() }, INTERVAL).unref()
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  balance (): void {
    const now = performance.now()
    // One that is blocked accepts nothing: connections must not wait for it.
    const awake = this.#workers().filter(({ state, lastBeat }) => state === 'ready' && now - lastBeat < 2 * INTERVAL)
    const { most, resumed } = balance(awake.map(worker => ({ worker, ...worker.stats })))
    for (const worker of awake) worker.limit(most)
    for (const { worker } of resumed) worker.resume()
  }

  /** @returns `false` where nothing can be told: this process itself was held up, and has not read yet what the workers have sent meanwhile */
  #look (): boolean {
    const now = performance.now()
    const wasHeldUp = now - this.#lastLook > 2 * INTERVAL
    this.#lastLook = now
    if (wasHeldUp) return false
    this.balance()
    for (const worker of this.#workers()) {
      if (worker.state !== 'ready' || now - worker.lastBeat < this.#blockedAfter) continue
      this.#log(`Worker ${worker.slot} (${worker.pid}) has given no sign of life for ${Math.round(now - worker.lastBeat)} ms: its event loop is blocked; it is killed`, 'error', 'FST_KEEP_ENGINE_WORKER_BLOCKED')
      worker.kill()
    }
    return true
  }
}
