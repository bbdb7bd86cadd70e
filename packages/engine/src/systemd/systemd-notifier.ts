import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { Handover, type HandoverObserver } from '../supervisor/handover.js'
import { claimNotifyEnvironment } from './notify-environment.js'
import { Notify, type Notification } from './notify.js'
import { takeNotifyDescriptor } from './socket-activation.js'

/** Of its listeners, and where they run. */
export type SystemdNotifierPriorities = Priorities<'starting' | 'ready' | 'reloading' | 'reloaded' | 'stopping' | 'end'>

interface DrainProgress {
  readonly bus: unknown
  readonly connections: number
  readonly left: number
}

const DRAIN = 'fastkeep:engine:drain'
const LONGEST_TIMER = 2 ** 31 - 1
/** What the successor takes over. */
const PART = 'systemd notification socket'

/**
 * Tells a service manager with `Type=notify` what the service does: `READY=1` at `ready` 95, `RELOADING=1` and `READY=1`
 * around `graceful`, a reload of workers and a restart in place, `MAINPID` of the successor, `STOPPING=1` at `drain` 10,
 * what it is about and how the drain gets on as `STATUS`, and `WATCHDOG=1` twice in each `WatchdogSec=` as long as the
 * event loop turns. Does nothing where `NOTIFY_SOCKET` is not set.
 *
 * Messages go through the descriptor that `OpenFile=/run/systemd/notify:notify` passes, else through the program
 * `systemd-notify`, which without root needs `NotifyAccess=all`. That they cannot be delivered is logged once as
 * `FST_KEEP_ENGINE_NOTIFY_FAILED`. The variables are removed from the environment, so that no child speaks for the service.
 *
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 * @example new SystemdNotifier(engine).subscribe()
 */
export class SystemdNotifier implements HandoverObserver {
  readonly #engine: Engine
  readonly #notify: Notify | undefined
  readonly #watchdog: number | undefined
  readonly #unit: Unit<'starting' | 'ready' | 'reloading' | 'reloaded' | 'stopping' | 'end'>
  #beat: NodeJS.Timeout | undefined
  #isReady = false
  #isStopping = false
  #isReplaced = false
  readonly #mentioned = new Set<string>()
  #stopObserving = (): void => {}

  constructor (engine: Engine) {
    this.#engine = engine
    const environment = claimNotifyEnvironment()
    if (environment !== undefined) {
      const fd = takeNotifyDescriptor() ?? Handover.inherited(PART)
      this.#notify = new Notify(environment.socket, fd, why => {
        engine.log(`The service manager cannot be told how the service is: ${why}`, 'warn', undefined, 'FST_KEEP_ENGINE_NOTIFY_FAILED')
      })
      this.#watchdog = environment.watchdog
    }
    this.#unit = new Unit(engine, 'SystemdNotifier', {
      starting: { channel: 'start', priority: 15, run: () => this.#mention({ STATUS: 'Starting' }) },
      ready: { channel: 'ready', priority: 95, run: () => this.#ready() },
      reloading: { channel: 'graceful', priority: 0, run: () => this.begins() },
      reloaded: { channel: 'graceful', priority: 95, run: () => this.reloaded() },
      stopping: { channel: 'drain', priority: 10, run: () => this.#stopping() },
      end: { channel: 'exit', priority: 97, run: () => this.#end() },
    })
  }

  /** Whether there is a service manager to tell. */
  get isEnabled (): boolean {
    return this.#notify !== undefined
  }

  subscribe (priorities?: SystemdNotifierPriorities): this {
    const notify = this.#notify
    if (notify === undefined || this.#unit.isSubscribed) return this
    this.#unit.subscribe(priorities)
    this.#stopObserving = this.#engine.handover.observe(this)
    this.#engine.handover.keep(PART, { get fd () { return notify.fd }, takeBack: () => {} })
    return this
  }

  unsubscribe (): void {
    this.#unit.unsubscribe()
    this.#stopObserving()
    this.#stopTelling()
  }

  /** A reload or a restart in place begins. */
  async begins (): Promise<void> {
    // CLOCK_MONOTONIC, by which the service manager knows which of its requests this answers.
    await this.#tell({ RELOADING: 1, MONOTONIC_USEC: String(process.hrtime.bigint() / 1_000n), STATUS: 'Reloading' })
  }

  /** Of one that a stop has called off the stop itself tells the end. */
  async failed (what: string): Promise<void> {
    if (this.#engine.state !== 'STARTED') return
    await this.#tell({ READY: 1, STATUS: `${this.#serving}; the last ${what} failed` })
  }

  async reloaded (): Promise<void> {
    if (this.#engine.state !== 'STARTED') return
    await this.#tell({ READY: 1, STATUS: this.#serving })
  }

  /** The successor is not yet the process that the service manager listens to: this one speaks for it a last time. */
  async succeeded (pid: number): Promise<void> {
    const beat: Notification = this.#watchdog === undefined ? {} : { WATCHDOG: 1 }
    await this.#tell({ MAINPID: pid, READY: 1, ...beat, STATUS: this.#serving })
    this.#isReplaced = true
    this.#stopTelling()
  }

  get #serving (): string {
    const { urls } = this.#engine.supervisor ?? this.#engine.server
    return urls.length === 0 ? 'Started' : `Serving on ${urls.join(' ')}`
  }

  /** A successor is silent until its predecessor has spoken for it; a process that was replaced for ever. */
  async #tell (notification: Notification): Promise<void> {
    if (this.#isReplaced || Handover.canBeTakenBack) return
    await this.#notify?.send(notification)
  }

  /** The same without waiting for it; one such message at a time, since the next says more. */
  #mention (notification: Notification): void {
    const [kind = ''] = Object.keys(notification)
    if (this.#mentioned.has(kind)) return
    this.#mentioned.add(kind)
    this.#tell(notification).finally(() => this.#mentioned.delete(kind)).catch(() => {})
  }

  async #ready (): Promise<void> {
    this.#isReady = true
    if (this.#watchdog !== undefined) {
      const interval = Math.min(Math.max(1, Math.floor(this.#watchdog / 2)), LONGEST_TIMER)
      clearInterval(this.#beat)
      this.#beat = setInterval(() => this.#mention({ WATCHDOG: 1 }), interval).unref()
    }
    await this.#tell({ READY: 1, STATUS: this.#serving })
  }

  /** A bus that only stops may start again: to the service manager it goes on. */
  async #stopping (): Promise<void> {
    unsubscribe(DRAIN, this.#onProgress)
    subscribe(DRAIN, this.#onProgress)
    const stopping = this.#engine.isExiting ? this.#sayStopping() : {}
    await this.#tell({ ...stopping, STATUS: 'Stopping' })
  }

  #sayStopping (): Notification {
    if (this.#isStopping || !this.#isReady) return {}
    this.#isStopping = true
    return { STOPPING: 1 }
  }

  readonly #onProgress = (message: unknown): void => {
    const { bus, connections, left } = message as DrainProgress
    if (bus === this.#engine) this.#mention({ STATUS: `Draining: ${connections} connections left, ${Math.ceil(left / 1000)} s` })
  }

  /** Whoever delivers a message must not outlive this process: the service manager would wait for it. */
  async #end (): Promise<void> {
    this.#stopTelling()
    // What it said last would stay there for as long as the service does not run.
    await this.#tell({ ...this.#sayStopping(), STATUS: this.#isReady ? 'Stopped' : 'Did not come to serve' })
    await this.#notify?.settled()
  }

  #stopTelling (): void {
    clearInterval(this.#beat)
    unsubscribe(DRAIN, this.#onProgress)
  }
}
