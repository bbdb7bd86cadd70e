import type { FastifyInstance } from 'fastify'
import type { Bus } from '../bus/bus.js'
import { Unit, type Priorities } from '../bus/unit.js'
import { AppRefused } from '../errors.js'
import { predecessor } from '../supervisor/predecessor.js'
import { supervised } from '../supervisor/supervised.js'
import { takeInherited } from '../systemd/socket-activation.js'
import { BoundSockets } from './bound-sockets.js'
import type { DrainListener, DrainOptions } from './drain.js'
import { giveSocket } from './give-socket.js'
import { InheritedSockets, type HandedSocket } from './inherited-sockets.js'
import { checkListenOptions, type ListenOptions } from './listen-options.js'
import type { Listener } from './listener.js'
import { ServedApp } from './served-app.js'
import { ServerDrain, type ServerDrainOptions } from './server-drain.js'

/** Makes a Fastify instance, for an engine that starts more than once: Fastify cannot open again what was closed. */
export type AppFactory = () => FastifyInstance | Promise<FastifyInstance>

interface Source {
  readonly make: AppFactory | undefined
  readonly options: ListenOptions
  served: ServedApp | undefined
}

/** Processes that serve on sockets which this one holds. */
export interface Holder {
  readonly connections: number
  /** ms for which their answers have told clients that an idle connection will stay. */
  readonly keepAliveTimeout: number
  /** ms that they may take to drain: on a stop, and when a successor has taken over. */
  readonly longestStop: number
  readonly longestDrain: number
}

/** Sockets that are bound for other processes. */
interface Held {
  readonly sockets: BoundSockets
  readonly options: ListenOptions
}

/** Of the Server's listeners: `bind` (75) and `listen` (80) of `start`, `delay` (20) of `drain`, `drain` (20) and `close` (60) of `stop`. */
export type ServerPriorities = Priorities<'bind' | 'listen' | 'delay' | 'drain' | 'close'>

let inherited: InheritedSockets | undefined

/** Those that this process was started with; whoever binds first takes what is his. */
function inheritedSockets (): InheritedSockets {
  inherited ??= new InheritedSockets(takeInherited(), supervised?.note.sockets ?? predecessor?.note.sockets ?? [])
  return inherited
}

/**
 * The HTTP servers of an engine: bound at `start` 75, accepting at 80, drained at `stop` 20, and their apps closed at 60.
 */
export class Server {
  readonly #bus: Bus
  readonly #sources = new Set<Source>()
  readonly #held: Held[] = []
  readonly #drainListeners = new Set<DrainListener>()
  #holder: Holder = { connections: 0, keepAliveTimeout: 0, longestStop: 0, longestDrain: 0 }
  readonly #drain: ServerDrain
  #isHandedOver = false

  /** @param priorities of its listeners, other than the default ones */
  constructor (bus: Bus, drain: Partial<ServerDrainOptions> = {}, priorities: ServerPriorities = {}) {
    this.#bus = bus
    this.#drain = new ServerDrain(bus, drain)
    const { close, ...others } = priorities
    new Unit(bus, 'Server', {
      inherit: { channel: 'start', priority: 15, run: () => { inheritedSockets() } },
      ready: { channel: 'start', priority: 20, run: () => this.#ready() },
      bind: { channel: 'start', priority: 75, run: () => this.#bind() },
      listen: { channel: 'start', priority: 80, run: () => this.#listen() },
      delay: { channel: 'drain', priority: 20, run: () => this.#drain.wait() },
      drain: { channel: 'stop', priority: 20, run: () => this.#drainAll() },
    }).subscribe(others)
    // A unit of its own: after a failed start too, the apps are closed after whatever was started on them.
    new Unit(bus, 'app.close()', {
      close: { channel: 'stop', priority: 60, run: () => this.#closeApps(app => app.hasListened).finally(() => this.#releaseHeld()) },
      release: { channel: 'exit', priority: 60, run: () => this.#closeApps(() => true).finally(() => this.#releaseHeld()) },
    }).subscribe({ close })
  }

  /** The bound addresses as URLs, e.g. `['https://127.0.0.1:8443']`; empty while nothing is bound. */
  get urls (): string[] {
    return this.#apps.flatMap(app => app.urls)
  }

  /** Aborts when the drain begins: streams and server-sent events should end then. */
  get draining (): AbortSignal {
    return this.#drain.signal
  }

  /** Open connections, upgraded ones included. */
  get connections (): number {
    return this.#connectionsOf(this.#apps)
  }

  /** What a successor of this process needs to listen on the same sockets. */
  get sockets (): HandedSocket[] {
    return this.#allSockets.flatMap(({ handed }) => handed)
  }

  /**
   * Takes an app, or what makes one at each start, into the life of the bus.
   *
   * @throws `FST_KEEP_ENGINE_APP_REFUSED` on an engine that has started
   */
  add (app: FastifyInstance, options?: ListenOptions): ServedApp
  add (app: AppFactory, options?: ListenOptions): undefined
  add (app: FastifyInstance | AppFactory, options: ListenOptions = {}): ServedApp | undefined {
    if (!this.#bus.isAtRest) throw new AppRefused(`an app cannot join an engine that is ${this.#bus.state}; add it before the start`)
    const source: Source = typeof app === 'function'
      ? { make: app, options, served: undefined }
      : { make: undefined, options, served: this.#serve(app, options) }
    this.#sources.add(source)
    return source.served
  }

  /**
   * Binds sockets on which this process never accepts: they are for its workers, and connections wait in the kernel
   * while there is none.
   *
   * @param holder the workers, all together; a drain waits for as long as they say
   */
  hold (listeners: readonly ListenOptions[], holder: Holder): BoundSockets[] {
    for (const options of listeners) checkListenOptions(options)
    const held = listeners.map(options => ({ options, sockets: new BoundSockets() }))
    this.#held.push(...held)
    this.#holder = holder
    return held.map(({ sockets }) => sockets)
  }

  /**
   * Adds a function that ends connections which are no longer HTTP. It runs at the same time as the drain of the
   * others; its signal aborts at the deadline, when it must have ended them.
   *
   * @returns a function that takes it away again
   * @example engine.server.onDrain(async deadline => { await closeAllSockets(deadline) })
   */
  onDrain (listener: DrainListener): () => void {
    this.#drainListeners.add(listener)
    return () => { this.#drainListeners.delete(listener) }
  }

  /**
   * Moves the deadline of a drain, the present one or the next, to now.
   *
   * @param why what the error of the drain says cut the requests
   */
  hurry (why = 'a request to hurry'): void {
    this.#drain.hurry(why)
  }

  /** The drain, the present one or the next, begins without its delay. */
  skipDelay (): void {
    this.#drain.skipDelay()
  }

  /** Whether a successor serves on the same sockets. */
  get isHandedOver (): boolean {
    return this.#isHandedOver
  }

  /** The sockets are a successor's as well from now on: the drain gives clients the time that they were told. */
  handOver (): void {
    this.#isHandedOver = true
    this.#drain.skipDelay()
    for (const sockets of this.#allSockets) sockets.handOver()
  }

  /** The paths of unix sockets that came from a predecessor are this process's from now on, to be removed at its end. */
  takePaths (): void {
    for (const sockets of this.#allSockets) sockets.takePaths()
  }

  /** Called after each connection has been counted. */
  onConnection: () => void = () => {}

  /** Those on which this process accepts connections. */
  get listeners (): readonly Listener[] {
    return this.#apps.flatMap(({ sockets }) => sockets.listeners)
  }

  /** How many requests have been begun since the process began. */
  get requests (): number {
    return this.#apps.reduce((sum, app) => sum + app.requests, 0)
  }

  /** ms for which the answers have told clients that an idle connection will stay. */
  get keepAliveTimeout (): number {
    return Math.max(0, ...this.#apps.map(app => app.keepAliveTimeout))
  }

  /** ms that the drain of a restart may take. */
  get longestDrain (): number {
    return this.#restartDrain.deadline
  }

  /** ms from the begin of a stop that this process may take to drain. */
  get longestStop (): number {
    return this.#drain.delay + this.#stopDrain.deadline
  }

  /** Gives the unix sockets to another user: after the drop of privileges this process could not remove them. */
  giveSocketsTo (uid: number, gid: number): void {
    for (const { address } of this.sockets) if (address !== undefined && 'path' in address) giveSocket(address.path, uid, gid)
  }

  /** Drains and closes one app while the others go on; the bus does this for all of them in `stop`. */
  async close (served: ServedApp): Promise<void> {
    await this.#drainApps([served], [])
    this.forget(served)
    await served.close()
  }

  /** The app was closed by its owner. */
  forget (served: ServedApp): void {
    for (const source of this.#sources) if (source.served === served) this.#sources.delete(source)
  }

  /** Whether no other app is served. */
  isLast (served: ServedApp): boolean {
    return [...this.#sources].every(source => source.served === served)
  }

  #serve (app: FastifyInstance, options: ListenOptions): ServedApp {
    return new ServedApp(app, options, () => this.#bus.start(), () => this.onConnection())
  }

  get #apps (): ServedApp[] {
    return [...this.#sources].flatMap(({ served }) => served ?? [])
  }

  #connectionsOf (apps: readonly ServedApp[]): number {
    return [...apps, this.#holder].reduce((sum, { connections }) => sum + connections, 0)
  }

  get #allSockets (): BoundSockets[] {
    return [...this.#apps, ...this.#held].map(({ sockets }) => sockets)
  }

  async #ready (): Promise<void> {
    for (const source of this.#sources) {
      if (source.served === undefined || source.served.isClosed) {
        if (source.make === undefined) {
          throw new AppRefused('the app was closed, and Fastify cannot open it again; give engine.server.add() a function that makes one')
        }
        source.served = this.#serve(await source.make(), source.options)
      }
      await source.served.app.ready()
    }
  }

  async #bind (): Promise<void> {
    const sockets = inheritedSockets()
    for (const app of this.#apps) await app.bind(sockets)
    for (const held of this.#held) await held.sockets.bind(held.options, sockets)
    for (const socket of sockets.closeRest()) this.#bus.log(`Closed an inherited socket that nothing listens on: ${socket}`, 'warn')
  }

  async #listen (): Promise<void> {
    this.#drain.reset()
    for (const app of this.#apps) await app.listen()
    for (const url of this.urls) this.#bus.log(`Serving on ${url}`, 'info', undefined, 'FST_KEEP_ENGINE_SERVING')
  }

  async #drainAll (): Promise<void> {
    this.#drain.begin()
    await this.#drainApps(this.#apps, [...this.#drainListeners])
  }

  async #drainApps (apps: readonly ServedApp[], listeners: readonly DrainListener[]): Promise<void> {
    await this.#drain.run({ targets: apps, listeners, connections: () => this.#connectionsOf(apps), options: this.#isHandedOver ? this.#restartDrain : this.#stopDrain })
  }

  get #stopDrain (): DrainOptions {
    return this.#drain.onStop(this.#holder.longestStop)
  }

  get #restartDrain (): DrainOptions {
    return this.#drain.afterRestart(Math.max(this.#holder.keepAliveTimeout, this.keepAliveTimeout), this.#holder.longestDrain)
  }

  #releaseHeld (): void {
    for (const { sockets } of this.#held) sockets.release()
  }

  /** All of them, whatever fails; what was bound and has not listened gives its address back. */
  async #closeApps (isMeant: (app: ServedApp) => boolean): Promise<void> {
    const outcomes = await Promise.allSettled(this.#apps.map(async app => isMeant(app) ? app.close() : app.sockets.release()))
    const errors = outcomes.flatMap(outcome => outcome.status === 'rejected' ? [outcome.reason as Error] : [])
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, errors.map(({ message }) => message).join('; '))
  }
}
