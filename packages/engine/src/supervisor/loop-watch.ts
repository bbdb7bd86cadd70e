import type { Worker } from 'node:worker_threads'
import { func, integer, optionChecker, type Rule } from '@fastkeep/options'
import { BEAT, IS_DEBUGGED, type BlockedSample, type LoopWatchData } from './loop-watch-data.js'

/** A block of the event loop that was noticed. */
export interface LoopBlock {
  /** ms that the loop had not turned when it was noticed. */
  readonly blockedFor: number
  /** ms until it turned again. */
  readonly lasted: number
  /** `name (file:line:column)`, the innermost first; empty where the block ended before its stack was had. */
  readonly stack: readonly string[]
  /** ms that it took to get the stack. Hundreds mean native code, which cannot be stopped: the stack is where the program went on after it. */
  readonly namedAfter: number
}

export interface LoopWatchOptions {
  /** ms without a turn of the event loop that are a block, 20 to 3,600,000; noticed within a half more. Default 2,000. */
  blockedAfter?: number
  /** Called when the loop turns again; the stack stands on standard error before that. */
  onBlocked?: (block: LoopBlock) => unknown
  /** Called when the thread has ended by an error: nothing is watched any more. */
  onError?: (error: Error) => unknown
}

export const DEFAULT_BLOCKED_AFTER = 2_000

/** Beats in `blockedAfter`. */
const BEATS = 4

const RULES = { blockedAfter: integer(20, 3_600_000, 'ms'), onBlocked: func, onError: func } satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/**
 * Says which JavaScript blocks the event loop, while it does. A thread notices that the loop has not turned, stops the
 * main thread for a moment by the inspector (no port is opened), writes its stack to standard error and lets it go on.
 * Each block is told once.
 *
 * Native code cannot be stopped: then the stack is told when it ends. Nothing is done while an inspector is open, for
 * that lets the program stand still on purpose, nor after the whole process or machine was suspended.
 *
 * In an idle process two threads wake up four times in each `blockedAfter`; the process is not kept alive.
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @see https://nodejs.org/api/inspector.html#sessionconnecttomainthread
 * @example
 * const watch = new LoopWatch({ blockedAfter: 1_000, onBlocked: ({ lasted, stack }) => log.warn({ lasted, stack }) })
 * await watch.start()
 * await watch.stop()
 */
export class LoopWatch {
  readonly #options: LoopWatchOptions
  readonly #blockedAfter: number
  #worker: Worker | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (options: LoopWatchOptions = {}) {
    checkOptions(options, RULES)
    this.#options = options
    this.#blockedAfter = options.blockedAfter ?? DEFAULT_BLOCKED_AFTER
  }

  get isStarted (): boolean {
    return this.#worker !== undefined
  }

  /** Resolves when the thread runs. Does nothing if it was done before. */
  async start (): Promise<void> {
    if (this.#worker !== undefined) return
    const { url: inspectorUrl } = process.getBuiltinModule('node:inspector')
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    const memory = new SharedArrayBuffer(16)
    const beats = new BigInt64Array(memory)
    const beat = (): void => {
      Atomics.store(beats, IS_DEBUGGED, inspectorUrl() === undefined ? 0n : 1n)
      Atomics.store(beats, BEAT, process.hrtime.bigint())
    }
    beat()
    const interval = this.#blockedAfter / BEATS
    const workerData: LoopWatchData = { memory, pid: process.pid, blockedAfter: this.#blockedAfter, interval }
    // Neither the program's flags nor its environment: it is to run nothing but itself.
    const worker = new Worker(new URL('loop-watch-thread.js', import.meta.url), { workerData, execArgv: [], env: {}, name: 'loop-watch' })
    worker.on('message', (sample: BlockedSample) => this.#told(sample))
    worker.on('error', (error: Error) => {
      this.#end()
      this.#options.onError?.(error)
    })
    this.#worker = worker
    this.#timer = setInterval(beat, interval).unref()
    await new Promise<void>(resolve => { worker.once('online', resolve).once('exit', () => resolve()) })
    worker.unref()
  }

  /** Resolves when the thread has ended. */
  async stop (): Promise<void> {
    const worker = this.#worker
    this.#end()
    await worker?.terminate()
  }

  #end (): void {
    clearInterval(this.#timer)
    this.#worker = undefined
  }

  #told ({ beat, blockedFor, stack, namedAfter }: BlockedSample): void {
    const lasted = Math.round(Number(process.hrtime.bigint() - beat) / 1e6)
    this.#options.onBlocked?.({ blockedFor, lasted, stack, namedAfter })
  }
}
