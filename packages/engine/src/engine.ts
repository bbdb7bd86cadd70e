import { integer, nested, optionChecker, type Rule } from '@fastkeep/options'
import { Bus } from './bus/bus.js'
import type { Listener, SubscribeOptions } from './bus/channel.js'
import type { Channels } from './bus/channels.js'
import { describeConfig, type DescribedOption } from './config/describe.js'
import type { EffectiveOption } from './config/resolve.js'
import { addEngineStatus, isEnginePart, withCertificates, type EngineStatus } from './engine-status.js'
import { IllegalTransition } from './errors.js'
import { Server, type ServerPriorities } from './server/server.js'
import type { ServerDrainOptions } from './server/server-drain.js'
import { StatusBoard, type StatusReader } from './status-board.js'
import { Handover } from './supervisor/handover.js'
import type { Peers } from './supervisor/peers.js'
import { supervised } from './supervisor/supervised.js'
import type { Supervisor } from './supervisor/supervisor.js'

export interface EngineOptions {
  /** ms: before the drain begins, for which idle connections stay usable in it, after which the rest is cut. Default 0, 5,000 and 25,000. */
  drain?: Partial<ServerDrainOptions>
  /** ms within which the successor of a restart in place must serve. Default 60,000. */
  restartTimeout?: number
  /** Where the Server's listeners run among the others. Default: `bind` 75, `listen` 80, `delay` 20, `drain` 20, `close` 60. */
  serverPriorities?: ServerPriorities
}

export const DEFAULT_RESTART_TIMEOUT = 60_000

const DAY = 86_400_000

export const ENGINE_RULES = {
  drain: nested({ delay: integer(0, DAY, 'ms'), idleWindow: integer(0, DAY, 'ms'), restartIdleWindow: integer(0, DAY, 'ms'), deadline: integer(1, DAY, 'ms') }),
  restartTimeout: integer(1, DAY, 'ms'),
} satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/**
 * The process bus with the servers on it.
 *
 * @example
 * const engine = new Engine()
 * engine.server.add(app, { port: 8080 })
 * await runToExit(engine)
 */
export class Engine extends Bus {
  readonly server: Server
  /** The options in force, as {@link loadConfig} told them; empty for an engine that was made in code alone. */
  effective: readonly EffectiveOption[] = []
  /** What a restart in place hands over, besides the sockets. */
  readonly handover: Handover
  readonly #status = new StatusBoard()
  /** What runs the workers of this process; none in a process that serves by itself. */
  supervisor: Supervisor | undefined
  /** In a worker: the other ones. */
  readonly peers: Peers | undefined = supervised?.peers
  #tick: (() => void) | undefined

  constructor (options: EngineOptions = {}) {
    super()
    const { serverPriorities, ...others } = options
    checkOptions(others, ENGINE_RULES)
    this.server = new Server(this, options.drain, serverPriorities)
    this.handover = new Handover(this, options.restartTimeout ?? DEFAULT_RESTART_TIMEOUT)
    addEngineStatus(this)
    supervised?.prepare(this)
  }

  /** Whether requests may be sent to where this process serves: it is STARTED, or a successor has taken its place. */
  get isReady (): boolean {
    return this.state === 'STARTED' || this.server.isHandedOver
  }

  /** Aborts when the drain begins: streams and server-sent events should end then. */
  get draining (): AbortSignal {
    return this.server.draining
  }

  /**
   * Keeps the process alive until the bus is EXITED, by events alone: while nobody listens to `main` nothing wakes up.
   *
   * @param options.interval ms between two publishes of `main` while somebody listens to it; default 100
   * @throws {ChannelFailures} when the exit failed
   */
  async block ({ interval = 100 }: { interval?: number } = {}): Promise<void> {
    const keptAlive = new MessageChannel()
    keptAlive.port1.on('message', () => {})
    let timer: NodeJS.Timeout | undefined
    this.#tick = () => {
      if (!this.hasListeners('main')) {
        clearInterval(timer)
        timer = undefined
      } else if (timer === undefined) {
        let isPublishing = false
        timer = setInterval(() => {
          this.#tick?.()
          if (isPublishing) return
          isPublishing = true
          // Its failures are logged; the next tick comes all the same.
          this.publish('main').catch(() => {}).finally(() => { isPublishing = false })
        }, interval)
      }
    }
    this.#tick()
    try {
      await this.wait('EXITED')
    } finally {
      this.#tick = undefined
      clearInterval(timer)
      keptAlive.port1.close()
    }
    await this.exit()
  }

  /** The options in force, each with where it comes from; secrets are redacted. */
  describe (): DescribedOption[] {
    return describeConfig(this.effective)
  }

  /**
   * Adds something to what {@link status} tells, e.g. when certificates expire.
   *
   * @returns a function that takes it away again
   * @example engine.addStatus('queue', () => ({ waiting: queue.length }))
   */
  addStatus (name: string, read: StatusReader): () => void {
    return this.#status.add(name, read)
  }

  /** What the service says of itself now; it takes 100 ms, for which the event loop is watched. */
  async status (): Promise<EngineStatus> {
    return withCertificates(await this.#status.read() as unknown as EngineStatus)
  }

  /** What others than the engine have added to it. */
  async addedStatus (): Promise<Record<string, unknown>> {
    return await this.#status.read(isEnginePart)
  }

  override async start (): Promise<void> {
    try {
      await super.start()
      this.handover.succeeded()
      supervised?.serves(this)
    } catch (error) {
      this.handover.failed(error)
      supervised?.failed(error)
      throw error
    }
  }

  /**
   * Starts the bus and calls a function when it is STARTED.
   *
   * @returns what the function returns
   */
  async startWithCallback<Result> (callback: () => Result | Promise<Result>): Promise<Result> {
    await this.start()
    return await callback()
  }

  /**
   * Replaces this process by a successor that runs the program as it is on disk now, with the same listening sockets:
   * no connection is refused, no request lost. Resolves when the successor serves; this process then drains and exits.
   * A successor that fails changes nothing. In a supervisor only its workers are replaced, one after the other.
   *
   * @throws `FST_KEEP_ENGINE_RESTART_FAILED` with what the successor says; `FST_KEEP_ENGINE_ILLEGAL_TRANSITION` where
   * the bus is not STARTED; in a supervisor `FST_KEEP_ENGINE_RELOAD_FAILED`
   */
  async reload (): Promise<void> {
    const { supervisor } = this
    if (supervisor === undefined) return await this.restart()
    if (this.state !== 'STARTED') throw new IllegalTransition('reload', this.state)
    await this.handover.tellOf(() => supervisor.reload())
  }

  /** The same as {@link reload} in one process; a supervisor is replaced as well, with its workers. */
  async restart (): Promise<void> {
    await this.handover.run()
    this.server.handOver()
    // Its failure is for those who wait for the exit.
    this.exit().catch(() => {})
  }

  override subscribe<C extends keyof Channels> (channel: C, listener: Listener<Channels[C]>, options?: SubscribeOptions): () => void
  override subscribe (channel: string, listener: Listener, options?: SubscribeOptions): () => void
  override subscribe (channel: string, listener: Listener, options?: SubscribeOptions): () => void {
    const unsubscribe = super.subscribe(channel, listener, options)
    if (channel === 'main') this.#tick?.()
    return unsubscribe
  }
}
