import { type FastifyInstance } from 'fastify'
import { predecessor } from '../supervisor/predecessor.js'
import { takeInherited } from '../systemd/socket-activation.js'
import { type Bus } from '../bus/bus.js'
import { DrainDeadlineExceeded } from '../errors.js'
import { drain, type DrainListener, type DrainOptions } from './drain.js'
import { type CutRequest } from './http1-drain.js'
import { type HandedSocket, InheritedSockets } from './inherited-sockets.js'
import { ServedApp, type ListenOptions } from './served-app.js'

export interface ServerDrainOptions extends DrainOptions {
  /**
   * ms for which idle connections stay usable after a successor has taken over. Default: as long as the answers have
   * told the clients (`keepAliveTimeout`), so that none is surprised. The deadline counts from its end.
   */
  restartIdleWindow?: number
}

/** ms. Below what process managers wait before they kill: systemd 90 s, Kubernetes 30 s. */
export const DEFAULT_DRAIN = { idleWindow: 5_000, deadline: 25_000 } as const satisfies DrainOptions

/** Those that this process was started with; whoever binds first takes what is his. */
const inherited = new InheritedSockets(takeInherited(), predecessor?.note.sockets ?? [])

const UNIT = { name: 'Server' } as const

/**
 * The HTTP servers of an engine: bound at `start` 75, accepting at 80, drained at `stop` 20, and their apps closed at 60.
 */
export class Server {
  readonly #bus: Bus
  readonly #apps = new Set<ServedApp>()
  readonly #drainListeners = new Set<DrainListener>()
  readonly #drainOptions: ServerDrainOptions
  #isHandedOver = false
  #draining = new AbortController()
  #hurry = new AbortController()

  constructor (bus: Bus, drainOptions: Partial<ServerDrainOptions> = {}) {
    this.#bus = bus
    this.#drainOptions = { ...DEFAULT_DRAIN, ...drainOptions }
    bus.subscribe('start', () => this.#ready(), { ...UNIT, priority: 20 })
    bus.subscribe('start', () => this.#bind(), { ...UNIT, priority: 75 })
    bus.subscribe('start', () => this.#listen(), { ...UNIT, priority: 80 })
    bus.subscribe('stop', () => this.#drain(), { ...UNIT, priority: 20 })
    // Of no unit: after a failed start too, the apps are closed after whatever was started on them.
    bus.subscribe('stop', () => this.#close(), { priority: 60 })
  }

  /** The bound addresses as URLs, e.g. `['https://127.0.0.1:8443']`; empty while nothing is bound. */
  get urls (): string[] {
    return [...this.#apps].flatMap(app => app.urls)
  }

  /** Aborts when the drain begins: streams and server-sent events should end then. */
  get draining (): AbortSignal {
    return this.#draining.signal
  }

  /** Open connections, upgraded ones included. */
  get connections (): number {
    let count = 0
    for (const app of this.#apps) count += app.connections
    return count
  }

  /** What a successor of this process needs to listen on the same sockets. */
  get sockets (): HandedSocket[] {
    return [...this.#apps].flatMap(app => app.sockets)
  }

  /** The sockets are a successor's as well from now on: the drain gives clients the time that they were told. */
  handOver (): void {
    this.#isHandedOver = true
    for (const app of this.#apps) app.handOver()
  }

  /** Takes an app into the life of the bus. */
  add (app: FastifyInstance, options: ListenOptions = {}): ServedApp {
    const served = new ServedApp(app, options)
    this.#apps.add(served)
    return served
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

  /** Moves the deadline of a drain, the present one or the next, to now. */
  hurry (): void {
    this.#hurry.abort()
  }

  /** Drains and closes one app while the others go on; the bus does this for all of them in `stop`. */
  async close (served: ServedApp): Promise<void> {
    this.#apps.delete(served)
    await this.#drainApps([served], [])
    await served.close()
  }

  /** Whether an app is the only one that is left. */
  isLast (served: ServedApp): boolean {
    return this.#apps.has(served) && this.#apps.size === 1
  }

  async #ready (): Promise<void> {
    for (const { app } of this.#apps) await app.ready()
  }

  async #bind (): Promise<void> {
    for (const app of this.#apps) await app.bind(inherited)
    for (const socket of inherited.closeRest()) this.#bus.log(`Closed an inherited socket that nothing listens on: ${socket}`, 'warn')
  }

  async #listen (): Promise<void> {
    if (this.#draining.signal.aborted) this.#draining = new AbortController()
    if (this.#hurry.signal.aborted) this.#hurry = new AbortController()
    for (const app of this.#apps) await app.listen()
    for (const url of this.urls) this.#bus.log(`Serving on ${url}`)
  }

  async #drain (): Promise<void> {
    this.#draining.abort()
    await this.#drainApps([...this.#apps], [...this.#drainListeners])
  }

  async #drainApps (apps: readonly ServedApp[], listeners: readonly DrainListener[]): Promise<void> {
    const options = this.#isHandedOver ? this.#restartDrain(apps) : this.#drainOptions
    const requests = await drain(apps, listeners, options, this.#hurry.signal)
    for (const { method, url, age } of requests) {
      this.#bus.log(`Cut by the drain deadline: ${method} ${url}, begun ${age} ms before`, 'warn')
    }
    if (requests.length > 0) throw deadlineError(requests, this.#hurry.signal.aborted ? 0 : options.deadline)
  }

  #restartDrain (apps: readonly ServedApp[]): DrainOptions {
    const { restartIdleWindow = Math.max(0, ...apps.map(app => app.keepAliveTimeout)), deadline } = this.#drainOptions
    return { idleWindow: restartIdleWindow, deadline: restartIdleWindow + deadline }
  }

  async #close (): Promise<void> {
    for (const app of this.#apps) await app.close()
    this.#apps.clear()
  }
}

function deadlineError (requests: readonly CutRequest[], deadline: number): Error {
  const named = requests.slice(0, 5).map(({ method, url }) => `${method} ${url}`).join(', ')
  const count = requests.length === 1 ? '1 request' : `${requests.length} requests`
  return new DrainDeadlineExceeded(deadline, count, requests.length > 5 ? `${named}, ...` : named)
}
