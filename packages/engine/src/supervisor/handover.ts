import { once } from 'node:events'
import { type Engine } from '../engine.js'
import { IllegalTransition, RestartFailed } from '../errors.js'
import { predecessor } from './predecessor.js'
import { startSuccessor } from './successor.js'

/** Something of the engine, besides sockets, that a successor takes over by its descriptor. */
export interface HandedPart {
  readonly fd: number | undefined
  /** A successor that may have taken it has ended: it is this process's again. */
  takeBack (): unknown
}

/** Older processes that may still drain when one more begins to. */
const OLDER_GENERATIONS = 1

/**
 * Restart in place: the same program is started once more with the listening sockets of this process; only when it
 * serves does this one drain and exit. A successor that fails leaves everything as it was. At most two generations
 * drain at a time; a further restart waits for the oldest.
 */
export class Handover {
  readonly #engine: Engine
  readonly #timeout: number
  readonly #parts = new Map<string, HandedPart>()
  #underWay: Promise<number> | undefined
  #callOff = new AbortController()

  /** @param timeout ms within which a successor must serve */
  constructor (engine: Engine, timeout: number) {
    this.#engine = engine
    this.#timeout = timeout
    engine.subscribe('ready', () => predecessor?.ready(), { priority: 95, name: 'Handover' })
    engine.subscribe('drain', () => this.#stop(), { priority: 0, name: 'Handover' })
  }

  /** The descriptor of a part that this process took over from its predecessor, if it has one. */
  static inherited (name: string): number | undefined {
    return predecessor?.note.descriptors[name]
  }

  keep (name: string, part: HandedPart): void {
    this.#parts.set(name, part)
  }

  /** The predecessor hears why this process did not come to serve. */
  failed (error: unknown): void {
    predecessor?.failed(error instanceof Error ? error.message : String(error))
  }

  /**
   * Resolves with the successor's pid when it serves; a call while one is under way joins it.
   *
   * @throws `FST_KEEP_ENGINE_RESTART_FAILED`, `FST_KEEP_ENGINE_ILLEGAL_TRANSITION`
   */
  run (): Promise<number> {
    this.#underWay ??= this.#run().finally(() => { this.#underWay = undefined })
    return this.#underWay
  }

  async #run (): Promise<number> {
    if (this.#engine.state !== 'STARTED') throw new IllegalTransition('restart', this.#engine.state)
    if (process.pid === 1) throw new RestartFailed('process 1 of a container cannot leave its place to another one; replace the container')
    this.#callOff = new AbortController()
    await this.#waitForOlder(this.#callOff.signal)
    const pid = await this.#start(this.#callOff.signal)
    this.#engine.log(`Successor ${pid} serves, this process drains`)
    return pid
  }

  /** A successor that is being started must not outlive the stop that nobody told it of. */
  async #stop (): Promise<void> {
    this.#callOff.abort()
    // Whoever asked for the restart hears of its end.
    await this.#underWay?.catch(() => {})
  }

  async #waitForOlder (callOff: AbortSignal): Promise<void> {
    if (predecessor === undefined) return
    await Promise.race([
      predecessor.haveLeft(OLDER_GENERATIONS),
      once(callOff, 'abort').then(() => { throw new RestartFailed('it was called off by a stop') }),
    ])
  }

  async #start (signal: AbortSignal): Promise<number> {
    const parts = [...this.#parts].filter((entry): entry is [string, HandedPart & { fd: number }] => entry[1].fd !== undefined)
    try {
      return await startSuccessor({
        sockets: this.#engine.server.sockets,
        descriptors: Object.fromEntries(parts.map(([name, { fd }]) => [name, fd])),
        draining: predecessor?.draining ?? [],
        timeout: this.#timeout,
        signal,
      })
    } catch (error) {
      for (const [, part] of parts) await part.takeBack()
      throw error
    }
  }
}
