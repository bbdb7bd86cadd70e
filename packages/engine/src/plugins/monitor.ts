import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { optionChecker, string } from '@fastkeep/options'
import type { Bus } from '../bus/bus.js'
import { Unit, type Priorities } from '../bus/unit.js'
import { BackgroundTask, type TaskCallback } from './background-task.js'
import { MonitorFailed } from './monitor-errors.js'

export interface MonitorOptions {
  /** ms from the end of one run to the begin of the next, 1 to 2,147,483,647. Default 60,000. */
  interval?: number
  /** How failures and logs call it. Default: the function's own name. */
  name?: string
  /** Run as soon as the bus has started too, not only after the first interval. Default false. */
  immediate?: boolean
}

const failed = diagnosticsChannel('fastkeep:engine:monitor-failed')

const checkOptions = optionChecker('engine')

/**
 * A periodic task in the life of a bus, from `start` 85 to `stop` 40: after the requests have been drained, before what
 * the task needs is closed. `graceful` begins it anew.
 *
 * - never twice at a time: the next run begins `interval` ms after the last one has ended
 * - a run that fails is logged with `FST_KEEP_ENGINE_MONITOR_FAILED`, published on `fastkeep:engine:monitor-failed` as
 *   `{ bus, name, error }`, and the next one comes
 * - the stop waits for the run that is under way, whose signal aborts; a run may itself await `stop()` or `exit()`, as
 *   long as the bus is not stopping yet
 * - a process that has nothing else to do ends
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @example new Monitor(engine, signal => sessions.prune({ signal }), { interval: 30_000, name: 'prune sessions' }).subscribe()
 */
export class Monitor {
  readonly name: string
  readonly #bus: Bus
  readonly #task: BackgroundTask
  readonly #unit: Unit<'start' | 'stop' | 'graceful'>

  constructor (bus: Bus, callback: TaskCallback, { name, ...options }: MonitorOptions = {}) {
    checkOptions({ 'monitor.name': name }, { 'monitor.name': string() })
    this.#bus = bus
    this.#task = new BackgroundTask(callback, { ...options, onError: error => this.#failed(error) })
    this.name = name ?? (callback.name || 'anonymous')
    this.#unit = new Unit(bus, `Monitor ${this.name}`, {
      start: { channel: 'start', priority: 85, run: () => this.#task.start() },
      stop: { channel: 'stop', priority: 40, run: () => this.#task.stop() },
      graceful: { channel: 'graceful', priority: 50, run: () => this.#beginAnew() },
    })
  }

  /** Has the bus begin and end it; on a bus that is STARTED already it begins now. */
  subscribe (priorities?: Priorities<'start' | 'stop' | 'graceful'>): this {
    if (this.#unit.isSubscribed) return this
    this.#unit.subscribe(priorities)
    if (this.#bus.state === 'STARTED') this.#task.start()
    return this
  }

  /** Leaves the bus and ends; resolves when the run that is under way has ended. */
  async unsubscribe (): Promise<void> {
    this.#unit.unsubscribe()
    await this.#task.stop()
  }

  async #beginAnew (): Promise<void> {
    await this.#task.stop()
    this.#task.start()
  }

  #failed (cause: unknown): void {
    const error = new MonitorFailed(this.name, cause instanceof Error ? cause.message : String(cause), { cause })
    this.#bus.log(error.message, 'error', error)
    failed.publish({ bus: this.#bus, name: this.name, error })
  }
}
