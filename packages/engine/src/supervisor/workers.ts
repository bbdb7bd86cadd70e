import type { LogLevel } from '../bus/channels.js'
import { ReloadFailed } from '../errors.js'
import { exitCodeAfter } from '../exit-codes.js'
import type { SecretsBundle } from './kept-secrets.js'
import { Recycling, type RecycleOptions } from './recycling.js'
import { stopWorkers } from './stop-workers.js'
import { Vacancies } from './vacancies.js'
import type { PeerMessage } from './worker-messages.js'
import type { WorkerProcess, WorkerStatus } from './worker-process.js'
import { WorkerWatch } from './worker-watch.js'

export interface WorkersOptions {
  readonly recycle: RecycleOptions
  /** ms without a sign of life after which a worker counts as blocked and is ended. */
  readonly blockedAfter: number
}

/** @param isGentle others serve in the meantime */
type SpawnWorker = (slot: number, generation: number, isGentle: boolean) => WorkerProcess

export type Log = (message: string, level?: LogLevel, code?: string) => void

/** Older generations that may drain while a reload begins to retire another one. */
const OLDER_GENERATIONS = 1

/** ms before the place of a worker that leaves is filled: a signal to all processes has ended this one, too, by then. */
const LEAVING_PAUSE = 250

/**
 * The workers of a supervisor. There are always as many as are wanted: one that ends by itself is replaced at once, and
 * with growing pauses if that happens in a row; one that is replaced on purpose goes only when the new one serves.
 */
export class Workers {
  readonly #spawn: SpawnWorker
  readonly #log: Log
  /** Those that are wanted: starting or ready. */
  readonly #present = new Set<WorkerProcess>()
  readonly #retired = new Set<WorkerProcess>()
  readonly #vacancies: Vacancies
  readonly #watch: WorkerWatch
  readonly #recycling: Recycling
  readonly #stop = new AbortController()
  #target = 0
  #generation = 1
  #operation: Promise<unknown> = Promise.resolve()
  #isServing = false
  #isRecycling = false

  constructor (spawn: SpawnWorker, { recycle, blockedAfter }: WorkersOptions, log: Log) {
    this.#spawn = spawn
    this.#log = log
    this.#vacancies = new Vacancies(slot => { if (!this.#stop.signal.aborted && this.#present.size < this.#target) this.#add(slot) }, log)
    this.#watch = new WorkerWatch(() => this.present, blockedAfter, log)
    this.#recycling = new Recycling(recycle)
  }

  get target (): number {
    return this.#target
  }

  get generation (): number {
    return this.#generation
  }

  /** Whether workers have ended again and again of late. */
  get isLooping (): boolean {
    return this.#vacancies.isLooping
  }

  get present (): readonly WorkerProcess[] {
    return [...this.#present]
  }

  /** Those that still drain, too. */
  get all (): readonly WorkerProcess[] {
    return [...this.#present, ...this.#retired]
  }

  /** With what their apps know. */
  async fullStatus (): Promise<WorkerStatus[]> {
    return await Promise.all(this.all.map(async worker => await worker.fullStatus()))
  }

  get status (): WorkerStatus[] {
    return this.all.map(({ status }) => status)
  }

  /** All of them at once; if one fails, the others are ended and its failure is that of the start. */
  async start (count: number): Promise<void> {
    this.#target = count
    const workers = Array.from({ length: count }, () => this.#add())
    try {
      await Promise.all(workers.map(({ ready }) => ready))
    } catch (error) {
      this.#stop.abort()
      await Promise.all([...this.#present].map(worker => worker.end()))
      throw error
    }
    this.#isServing = true
    this.#watch.start(() => this.#recycle())
  }

  /**
   * Replaces all of them, one after the other, by workers that run the program as it is on disk now: the new one serves
   * before the old one begins to drain. If the first new one fails, nothing has changed.
   *
   * @throws `FST_KEEP_ENGINE_RELOAD_FAILED`
   */
  reload (): Promise<void> {
    return this.#inTurn(async () => {
      await this.#waitForOlder()
      const old = this.present
      this.#generation++
      for (const [index, worker] of old.entries()) {
        if (!this.#present.has(worker)) continue
        try {
          await this.#replace(worker)
        } catch (error) {
          if (index === 0) this.#generation--
          throw Object.assign(new ReloadFailed(this.#standing(index, old.length), (error as Error).message, { cause: error }), { exitCode: exitCodeAfter(error) })
        }
      }
      this.#vacancies.forget()
    })
  }

  /** @param count of workers from now on, at least 1 */
  scale (count: number): Promise<void> {
    return this.#inTurn(() => this.#scale(count))
  }

  /** @param difference more workers than there will be when all changes before this one are done; 1 stays at least */
  scaleBy (difference: number): Promise<void> {
    return this.#inTurn(() => this.#scale(Math.max(1, this.#target + difference)))
  }

  /**
   * Each of them reads again what it can.
   *
   * @param secrets as they are now
   */
  async graceful (secrets: SecretsBundle): Promise<void> {
    const failures = await Promise.all([...this.#present].map(async worker => ({ worker, failure: await worker.graceful(secrets) })))
    const failed = failures.filter(({ failure }) => failure !== undefined)
    if (failed.length > 0) throw new Error(failed.map(({ worker: { slot, pid }, failure }) => `worker ${slot} (${pid}): ${failure}`).join('; '))
  }

  /** Also to those that start, which have something to learn, and to those that drain, which still answer. */
  tell (message: PeerMessage, from: WorkerProcess): void {
    for (const worker of this.all) if (worker !== from) worker.tell(message)
  }

  /**
   * Ends all of them, each with a drain; when the deadline has come, at once.
   *
   * @param isHandedOver others serve already: drain for as long as clients were promised
   * @throws `FST_KEEP_ENGINE_WORKERS_NOT_STOPPED` if one did not end cleanly
   */
  async stop (deadline: AbortSignal, isHandedOver: boolean): Promise<void> {
    this.#stop.abort()
    this.#watch.stop()
    await stopWorkers(this.all, deadline, isHandedOver)
  }

  async #scale (count: number): Promise<void> {
    const before = this.#target
    this.#target = count
    try {
      await Promise.all(Array.from({ length: Math.max(0, count - this.#present.size) }, () => this.#add().ready))
    } catch (error) {
      this.#target = Math.max(before, [...this.#present].filter(({ state }) => state === 'ready').length)
      throw error
    }
    for (const worker of this.present.slice(count)) this.#retire(worker)
    this.#log(`${count} workers serve`)
  }

  #add (slot = this.#freeSlot(), isGentle = false): WorkerProcess {
    this.#stop.signal.throwIfAborted()
    const worker = this.#spawn(slot, this.#generation, isGentle)
    worker.onPeer = message => this.tell(message, worker)
    worker.onPaused = () => this.#watch.balance()
    worker.onLeaving = () => this.#leave(worker)
    this.#present.add(worker)
    worker.ready.then(
      () => {
        this.#log(`Worker ${slot} (${worker.pid}) serves`, 'info')
        this.#watch.balance()
      },
      (error: Error) => {
        if (this.#present.delete(worker) && this.#isServing) {
          this.#log(error.message, 'error', 'FST_KEEP_ENGINE_WORKER_FAILED')
          this.#fill(slot, 0)
        }
      }
    )
    worker.ended.then(end => this.#ended(worker, end.signal ?? `code ${end.code}`), () => {})
    return worker
  }

  #freeSlot (): number {
    const taken = new Set([...[...this.#present].map(({ slot }) => slot), ...this.#vacancies.slots])
    let slot = 1
    while (taken.has(slot)) slot++
    return slot
  }

  /** A new one in its place, and only then does it go. */
  async #replace (worker: WorkerProcess): Promise<void> {
    await this.#add(worker.slot, true).ready
    this.#retire(worker)
  }

  #retire (worker: WorkerProcess): void {
    if (!this.#present.delete(worker)) return
    this.#retired.add(worker)
    worker.retire()
  }

  /** Its place is not to stay empty for as long as it drains. */
  #leave (worker: WorkerProcess): void {
    if (!this.#present.delete(worker)) return
    this.#retired.add(worker)
    this.#log(`Worker ${worker.slot} (${worker.pid}) drains and exits, though nobody here has told it to`, 'warn', 'FST_KEEP_ENGINE_WORKER_LEAVING')
    this.#fill(worker.slot, performance.now() - worker.servesSince, LEAVING_PAUSE)
    this.#watch.balance()
  }

  #ended (worker: WorkerProcess, how: string): void {
    if (this.#retired.delete(worker)) {
      if (how !== 'code 0') this.#log(`Worker ${worker.slot} (${worker.pid}), which had been replaced, ended with ${how}`, 'warn', 'FST_KEEP_ENGINE_WORKER_ENDED')
      return
    }
    // One that never came to serve was told of by its `ready`.
    if (worker.servesSince === 0 || !this.#present.delete(worker) || this.#stop.signal.aborted) return
    this.#log(`Worker ${worker.slot} (${worker.pid}) ended with ${how}`, 'error', 'FST_KEEP_ENGINE_WORKER_ENDED')
    this.#watch.balance()
    this.#fill(worker.slot, performance.now() - worker.servesSince)
  }

  /** There are always as many as are wanted, whatever becomes of the one that is to fill the place. */
  #fill (slot: number, served: number, leastPause = 0): void {
    if (this.#stop.signal.aborted || this.#present.size + this.#vacancies.slots.size >= this.#target) return
    this.#vacancies.add(slot, served, leastPause)
  }

  /** One worker that has had its time at a time. */
  #recycle (): void {
    const worker = [...this.#present].find(worker => !this.#isDraining(worker.slot) && this.#recycling.isDue(worker))
    if (worker === undefined || this.#isRecycling) return
    this.#isRecycling = true
    this.#log(`Worker ${worker.slot} (${worker.pid}) has had its time and is replaced`)
    this.#inTurn(async () => { if (this.#present.has(worker)) await this.#replace(worker) })
      .catch(() => {
        this.#recycling.pause()
        this.#log(`Worker ${worker.slot} (${worker.pid}) stays, because the new one failed`, 'warn')
      })
      .finally(() => { this.#isRecycling = false })
  }

  #isDraining (slot: number): boolean {
    return [...this.#retired].some(retired => retired.slot === slot)
  }

  async #waitForOlder (): Promise<void> {
    const older = (): number => new Set([...this.#retired].map(({ generation }) => generation)).size
    if (older() > OLDER_GENERATIONS) this.#log('The reload waits for older workers that still drain')
    while (older() > OLDER_GENERATIONS) await Promise.race([...this.#retired].map(({ ended }) => ended))
  }

  /** What is left after a reload that has failed. */
  #standing (replaced: number, all: number): string {
    if (![...this.#present].some(({ state }) => state === 'ready')) return 'and no worker is left; another one is being started'
    return replaced === 0 ? 'the present workers go on serving' : `${replaced} of ${all} workers are new, the others go on serving`
  }

  /** One change at a time. */
  #inTurn (change: () => Promise<void>): Promise<void> {
    const turn = this.#operation.then(() => {
      this.#stop.signal.throwIfAborted()
      return change()
    })
    this.#operation = turn.catch(() => {})
    return turn
  }
}
