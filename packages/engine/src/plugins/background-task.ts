import { AsyncLocalStorage } from 'node:async_hooks'
import { boolean, func, integer, nested, optionChecker, type Rule } from '@fastkeep/options'

/** Is given a signal that aborts when the task is stopped while it runs. */
export type TaskCallback = (signal: AbortSignal) => unknown

export interface BackgroundTaskOptions {
  /** ms from the end of one run to the begin of the next, 1 to 2,147,483,647. Default 60,000. */
  interval?: number
  /** Run at the start too, not only after the first interval. Default false. */
  immediate?: boolean
  /** Gets what a run throws; the task goes on. What it throws itself is an unhandled rejection. */
  onError: (error: unknown) => void
}

interface Run {
  done: Promise<void>
}

/** setTimeout counts in 32 bits: what is longer it runs at once. */
const LONGEST_TIMER = 2_147_483_647

const RULES = { interval: integer(1, LONGEST_TIMER, 'ms'), immediate: boolean, onError: func } satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/** The run that a call comes from. A stop that a run asks for must not wait for that run. */
const runs = new AsyncLocalStorage<Run>()
let runCount = 0

/**
 * Calls a function again and again, never twice at a time: the next run begins `interval` ms after the last one has
 * ended. Keeps no process alive. {@link Monitor} is the same on a bus.
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @example
 * const task = new BackgroundTask(() => cache.prune(), { interval: 30_000, onError: error => log.error(error) })
 * task.start()
 * await task.stop()
 */
export class BackgroundTask {
  readonly #callback: TaskCallback
  readonly #interval: number
  readonly #immediate: boolean
  readonly #onError: (error: unknown) => void
  #stopping: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #run: Run | undefined

  constructor (callback: TaskCallback, options: BackgroundTaskOptions) {
    checkOptions({ callback: callback ?? null, task: { ...options, onError: options.onError ?? null } }, { callback: func, task: nested(RULES) })
    this.#callback = callback
    this.#interval = options.interval ?? 60_000
    this.#immediate = options.immediate ?? false
    this.#onError = options.onError
  }

  get isStarted (): boolean {
    return this.#stopping !== undefined
  }

  /** Begins; does nothing if it has begun. After a stop that did not wait, first the old run ends. */
  start (): void {
    if (this.isStarted) return
    this.#stopping = new AbortController()
    if (this.#run === undefined) this.#schedule(this.#immediate ? 0 : this.#interval)
  }

  /** No further run. Resolves when the run that is under way has ended; called from that run itself, at once. */
  async stop (): Promise<void> {
    clearTimeout(this.#timer)
    this.#stopping?.abort()
    this.#stopping = undefined
    if (this.#run !== undefined && this.#run !== runs.getStore()) await this.#run.done
  }

  #schedule (delay: number): void {
    this.#timer = setTimeout(() => this.#begin(), delay).unref()
  }

  #begin (): void {
    const { signal } = this.#stopping as AbortController
    const run: Run = { done: Promise.resolve() }
    this.#run = run
    runCount++
    run.done = runs.run(run, () => this.#call(signal)).finally(() => this.#ended())
  }

  async #call (signal: AbortSignal): Promise<void> {
    try {
      await this.#callback(signal)
    } catch (error) {
      this.#onError(error)
    }
  }

  #ended (): void {
    this.#run = undefined
    // On Node 20 and 22 an AsyncLocalStorage in use slows down every promise of the process.
    if (--runCount === 0) runs.disable()
    if (this.isStarted) this.#schedule(this.#interval)
  }
}
