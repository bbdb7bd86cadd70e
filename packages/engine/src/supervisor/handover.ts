import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Engine } from '../engine.js'
import { IllegalTransition, RestartFailed } from '../errors.js'
import { exitCodeOf } from '../exit-codes.js'
import { containerEnd } from './container-end.js'
import { predecessor } from './predecessor.js'
import { startSuccessor } from './successor.js'
import { supervised } from './supervised.js'

/** Something of the engine, besides sockets, that a successor takes over by its descriptor. */
export interface HandedPart {
  readonly fd: number | undefined
  /** A successor that may have taken it has ended: it is this process's again. */
  takeBack (): unknown
  /** A successor has it, and serves. */
  handedOver? (): void
}

/** Hears of each restart in place, and of each reload of workers; they wait for it, and go on whatever becomes of it. */
export interface HandoverObserver {
  begins (): Promise<unknown>
  /** This process goes on serving. */
  failed (what: 'reload' | 'restart'): Promise<unknown>
  /** This process goes on, with new workers. */
  reloaded (): Promise<unknown>
  /** The successor `pid` serves; this process drains next. */
  succeeded (pid: number): Promise<unknown>
}

/** ms beyond the longest drain for an older process to end. */
const GRACE = 5_000

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
  readonly #observers = new Set<HandoverObserver>()
  #underWay: Promise<number> | undefined
  #callOff = new AbortController()

  /** @param timeout ms within which a successor must serve */
  constructor (engine: Engine, timeout: number) {
    this.#engine = engine
    this.#timeout = timeout
    engine.subscribe('drain', () => this.#stop(), { priority: 0, name: 'Handover' })
    engine.subscribe('start', () => { running.add(engine) }, { priority: 0, name: 'Handover' })
    engine.subscribe('stop', () => { running.delete(engine) }, { priority: 100, name: 'Handover' })
  }

  /** The descriptor of a part that this process took over from its predecessor, if it has one. */
  static inherited (name: string): number | undefined {
    claimed.add(name)
    return predecessor?.note.descriptors[name]
  }

  /** Whether a predecessor still serves, which takes everything back if this process ends before it does. */
  static get canBeTakenBack (): boolean {
    return predecessor?.serves ?? false
  }

  keep (name: string, part: HandedPart): void {
    this.#parts.set(name, part)
  }

  /** @returns a function that has it hear no more */
  observe (observer: HandoverObserver): () => void {
    this.#observers.add(observer)
    return () => { this.#observers.delete(observer) }
  }

  /** The predecessor can drain: this process serves, and nothing that could fail is left to do. */
  succeeded (): void {
    this.#engine.server.takePaths()
    closeUnclaimed()
    predecessor?.ready()
  }

  /** The predecessor hears why this process did not come to serve. */
  failed (error: unknown): void {
    predecessor?.failed(error instanceof Error ? error.message : String(error), exitCodeOf(error))
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
    if (supervised !== undefined) throw new RestartFailed('it is a worker; reload or restart its supervisor')
    if (running.size > 1) throw new RestartFailed('another engine runs in this process, whose sockets and requests it would lose; have one engine serve all apps: app.register(engine, { engine: first.engine })')
    const end = containerEnd()
    if (end !== undefined) throw new RestartFailed(end)
    this.#callOff = new AbortController()
    await this.#tell(observer => observer.begins())
    try {
      await this.#waitForOlder(this.#callOff.signal)
      const pid = await this.#start(this.#callOff.signal)
      await this.#tell(observer => observer.succeeded(pid))
      this.#engine.log(`Successor ${pid} serves, this process drains`)
      return pid
    } catch (error) {
      await this.#tell(observer => observer.failed('restart'))
      throw error
    }
  }

  /** A reload of workers, which leaves this process where it is. */
  async tellOf (reload: () => Promise<unknown>): Promise<void> {
    await this.#tell(observer => observer.begins())
    try {
      await reload()
    } catch (error) {
      await this.#tell(observer => observer.failed('reload'))
      throw error
    }
    await this.#tell(observer => observer.reloaded())
  }

  async #tell (what: (observer: HandoverObserver) => Promise<unknown>): Promise<void> {
    await Promise.allSettled([...this.#observers].map(what))
  }

  /** A successor that is being started must not outlive the stop that nobody told it of. */
  async #stop (): Promise<void> {
    this.#callOff.abort()
    // Whoever asked for the restart hears of its end.
    await this.#underWay?.catch(() => {})
  }

  async #waitForOlder (callOff: AbortSignal): Promise<void> {
    if (predecessor === undefined || predecessor.draining.length <= OLDER_GENERATIONS) return
    this.#engine.log('The restart waits for an older process that still drains')
    const patience = this.#engine.server.longestDrain + GRACE
    const waited = new AbortController()
    try {
      await Promise.race([
        predecessor.haveLeft(OLDER_GENERATIONS),
        once(callOff, 'abort', { signal: waited.signal }).then(() => { throw new RestartFailed('it was called off by a stop') }),
        delay(patience, undefined, { signal: waited.signal }).then(() => {
          throw new RestartFailed(`two older processes have not ended within ${patience} ms; end the oldest one`)
        }),
      ])
    } finally {
      waited.abort()
    }
  }

  async #start (signal: AbortSignal): Promise<number> {
    const parts = [...this.#parts].filter((entry): entry is [string, HandedPart & { fd: number }] => entry[1].fd !== undefined)
    try {
      const pid = await startSuccessor({
        sockets: this.#engine.server.sockets,
        descriptors: Object.fromEntries(parts.map(([name, { fd }]) => [name, fd])),
        draining: predecessor?.draining ?? [],
        timeout: this.#timeout,
        signal,
      })
      for (const [, part] of parts) part.handedOver?.()
      return pid
    } catch (error) {
      for (const [name, part] of parts) await this.#takeBack(name, part)
      throw error
    }
  }

  /** Why the restart failed is what counts; that a part of it stays lost is told beside it. */
  async #takeBack (name: string, part: HandedPart): Promise<void> {
    try {
      await part.takeBack()
    } catch (error) {
      this.#engine.log(`${name} could not be taken back from the successor: ${String(error)}`, 'error', error)
    }
  }
}

/** The engines of this process; those of other copies of this module are not known. */
const running = new Set<Engine>()

/** Names of parts that somebody here has asked for. */
const claimed = new Set<string>()

/** What is configured away, or under another name, now: a socket that was left open here would have clients wait for ever. */
function closeUnclaimed (): void {
  for (const [name, fd] of Object.entries(predecessor?.note.descriptors ?? {})) {
    if (claimed.has(name)) continue
    claimed.add(name)
    closeSync(fd)
  }
}
