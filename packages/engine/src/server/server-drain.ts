import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import type { Bus } from '../bus/bus.js'
import { DrainDeadlineExceeded } from '../errors.js'
import { DrainDelay } from './drain-delay.js'
import { drain, type Drainable, type DrainListener, type DrainOptions } from './drain.js'
import type { CutRequest } from './http1-drain.js'

export interface ServerDrainOptions extends DrainOptions {
  /** ms between readiness going off and the drain; none after a successor has taken over, or after a fault. Default 0. */
  delay?: number
  /**
   * ms for which idle connections stay usable after a successor has taken over. Default: as long as the answers have
   * told the clients (`keepAliveTimeout`), so that none is surprised. The deadline counts from its end.
   */
  restartIdleWindow?: number
}

/** ms. Below what process managers wait before they kill: systemd 90 s, Kubernetes 30 s. */
export const DEFAULT_DRAIN = { delay: 0, idleWindow: 5_000, deadline: 25_000 } as const satisfies ServerDrainOptions

/** What is drained together, and what it takes part in. */
export interface Draining {
  readonly targets: readonly Drainable[]
  readonly listeners: readonly DrainListener[]
  /** All that are open, those of other processes included. */
  readonly connections: () => number
  /** Of {@link ServerDrain.onStop} or {@link ServerDrain.afterRestart}. */
  readonly options: DrainOptions
}

/** ms between two messages about a drain: `{ bus, connections, left }`, the last in ms. */
const PROGRESS_INTERVAL = 1_000
const drainProgress = diagnosticsChannel('fastkeep:engine:drain')

/** How a server drains: after its delay, telling how far it is, until its deadline or until somebody hurries it. */
export class ServerDrain {
  readonly #bus: Bus
  readonly #options: Required<Omit<ServerDrainOptions, 'restartIdleWindow'>> & { readonly restartIdleWindow: number | undefined }
  readonly #delay: DrainDelay
  #draining = new AbortController()
  #hurry = new AbortController()
  #whyHurry = ''

  constructor (bus: Bus, { delay, idleWindow, deadline, restartIdleWindow }: Partial<ServerDrainOptions>) {
    this.#bus = bus
    this.#options = {
      delay: delay ?? DEFAULT_DRAIN.delay,
      idleWindow: idleWindow ?? DEFAULT_DRAIN.idleWindow,
      deadline: deadline ?? DEFAULT_DRAIN.deadline,
      restartIdleWindow,
    }
    this.#delay = new DrainDelay(this.#options.delay)
  }

  /** ms before it begins. */
  get delay (): number {
    return this.#delay.ms
  }

  /** Aborts when the drain begins. */
  get signal (): AbortSignal {
    return this.#draining.signal
  }

  /** Moves the deadline of the present drain, or of the next one, to now. */
  hurry (why: string): void {
    this.#whyHurry ||= why
    this.#hurry.abort()
    this.#delay.skip()
  }

  /** The present drain, or the next one, begins without its delay. */
  skipDelay (): void {
    this.#delay.skip()
  }

  /** For a bus that starts once more. */
  reset (): void {
    if (this.#draining.signal.aborted) this.#draining = new AbortController()
    if (this.#hurry.signal.aborted) this.#hurry = new AbortController()
    this.#whyHurry = ''
    this.#delay.reset()
  }

  async wait (): Promise<void> {
    if (this.#delay.isSkipped) return
    this.#bus.log(`Not ready any more; the drain begins in ${this.#delay.ms} ms`, 'info', undefined, 'FST_KEEP_ENGINE_DRAIN_DELAYED')
    await this.#delay.wait()
  }

  /** Whoever has streams ends them now. */
  begin (): void {
    this.#draining.abort()
  }

  /** @throws `FST_KEEP_ENGINE_DRAIN_DEADLINE` if requests were cut */
  async run ({ targets, listeners, connections, options }: Draining): Promise<void> {
    const end = performance.now() + options.deadline
    const progress = setInterval(() => this.#tellProgress(connections(), end), PROGRESS_INTERVAL)
    const requests = await drain(targets, listeners, options, this.#hurry.signal).finally(() => clearInterval(progress))
    for (const { request, age } of requests) {
      this.#bus.log(`Cut by the end of the drain: ${request}, begun ${age} ms before`, 'warn', undefined, 'FST_KEEP_ENGINE_CUT')
    }
    if (requests.length > 0) {
      throw deadlineError(requests, this.#hurry.signal.aborted ? this.#whyHurry : `the drain deadline of ${options.deadline} ms`)
    }
  }

  /** @param longest ms that others, who are waited for, may take */
  onStop (longest: number): DrainOptions {
    const { idleWindow, deadline } = this.#options
    return { idleWindow, deadline: Math.max(deadline, longest) }
  }

  /**
   * @param promised ms for which clients have been told that an idle connection will stay
   * @param longest ms that others, who are waited for, may take
   */
  afterRestart (promised: number, longest: number): DrainOptions {
    const { restartIdleWindow: idleWindow = promised, deadline } = this.#options
    return { idleWindow, deadline: Math.max(idleWindow + deadline, longest) }
  }

  #tellProgress (connections: number, end: number): void {
    const left = Math.max(0, Math.round(end - performance.now()))
    drainProgress.publish({ bus: this.#bus, connections, left })
    this.#bus.log(`Draining: ${connections} ${connections === 1 ? 'connection' : 'connections'} left, ${Math.ceil(left / 1000)} s`, 'info', undefined, 'FST_KEEP_ENGINE_DRAINING')
  }
}

function deadlineError (requests: readonly CutRequest[], what: string): Error {
  const named = requests.slice(0, 5).map(({ request }) => request).join(', ')
  const count = requests.length === 1 ? '1 request' : `${requests.length} requests`
  return new DrainDeadlineExceeded(what, count, requests.length > 5 ? `${named}, ...` : named)
}
