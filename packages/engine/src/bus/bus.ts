import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { IllegalTransition, StartCancelled } from '../errors.js'
import type { Channel, Subscription } from './channel.js'
import { ChannelFailures, type ListenerFailure } from './channel-failures.js'
import { Publisher } from './publisher.js'
import { reentrancy, runInTransition } from './running-listener.js'
import { StateWaiters, type WaitOptions } from './state-waiters.js'
import { TRANSITIONS, type State } from './states.js'

const stateChanged = diagnosticsChannel('fastkeep:engine:state')

/**
 * The process bus: states, channels, and listeners that are awaited one after the other in the order of their
 * priority. One transition at a time: a call that asks for what is under way joins it, an illegal one rejects with
 * `FST_KEEP_ENGINE_ILLEGAL_TRANSITION`, a call from inside a listener that a transition waits for rejects with
 * `FST_KEEP_ENGINE_REENTRANT_TRANSITION`.
 *
 * @example
 * const bus = new Bus()
 * bus.subscribe('start', async () => { await database.connect() }, { name: 'database' })
 * bus.subscribe('stop', async () => { await database.close() }, { name: 'database' })
 * await bus.start()
 */
export class Bus extends Publisher {
  #state: State = 'STOPPED'
  readonly #waiters = new StateWaiters()
  #hasLaunched = false
  #cancelledBy: string | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #exiting: Promise<void> | undefined
  #graceful: Promise<void> | undefined

  get state (): State {
    return this.#state
  }

  /** Whether the exit was asked for: a stop that is under way is not one after which the bus may start again. */
  get isExiting (): boolean {
    return this.#exiting !== undefined
  }

  /** Whether nothing was started, and nobody has asked for it: STOPPED, and no transition under way or about to be. */
  get isAtRest (): boolean {
    return this.#state === 'STOPPED' && this.#starting === undefined && this.#stopping === undefined && this.#exiting === undefined
  }

  /**
   * STOPPED to STARTED: runs the `start` listeners, then the `ready` listeners. The first time, `launch` comes before.
   * The first failure ends the start: what had started is stopped in reverse order and the bus is STOPPED again.
   *
   * @throws {ChannelFailures} with what the failing listener threw as `cause`
   */
  start (): Promise<void> {
    const refusal = reentrancy(this, 'start')
    if (refusal !== undefined) return Promise.reject(refusal)
    if (this.#starting !== undefined && this.#cancelledBy === undefined) return this.#starting
    if (this.#state === 'STARTED' && this.#stopping === undefined && this.#exiting === undefined) return Promise.resolve()
    if (this.#state !== 'STOPPED' || this.#starting !== undefined || this.#exiting !== undefined) {
      return Promise.reject(new IllegalTransition('start', this.#state === 'STARTED' ? 'about to stop' : this.#state))
    }
    const starting = inNextTurn(() => this.#runStart()).finally(() => { if (this.#starting === starting) this.#settled() })
    this.#starting = starting
    return starting
  }

  /**
   * STARTED to STOPPED: runs the `drain` listeners, then the `stop` listeners, all of them whatever fails. A start that
   * is under way is called off after the listener that is running.
   *
   * @throws {ChannelFailures}
   */
  stop (): Promise<void> {
    const refusal = reentrancy(this, 'stop')
    return refusal === undefined ? this.#stop('stop') : Promise.reject(refusal)
  }

  /**
   * To EXITED, which is final: stops first if need be, then runs the `exit` listeners, also after a failing stop.
   *
   * @throws {ChannelFailures} with the failures of both
   */
  exit (): Promise<void> {
    const refusal = reentrancy(this, 'exit')
    if (refusal !== undefined) return Promise.reject(refusal)
    this.#exiting ??= inNextTurn(() => this.#runExit())
    return this.#exiting
  }

  /**
   * Publishes `graceful` in state STARTED: the same process reads again what it can. A stop waits until it is done.
   *
   * @throws {ChannelFailures}
   */
  graceful (): Promise<void> {
    const refusal = reentrancy(this, 'graceful')
    if (refusal !== undefined) return Promise.reject(refusal)
    if (this.#graceful !== undefined) return this.#graceful
    if (this.#state !== 'STARTED' || this.#stopping !== undefined) return Promise.reject(new IllegalTransition('be graceful', this.#state))
    this.log('Bus graceful', 'info', undefined, 'FST_KEEP_ENGINE_GRACEFUL')
    this.#graceful = inNextTurn(() => this.#publishInTransition('graceful')).finally(() => { this.#graceful = undefined })
    return this.#graceful
  }

  /**
   * Resolves with the state as soon as it is one of those given, at once if it already is.
   */
  wait (states: State | readonly State[], options: WaitOptions = {}): Promise<State> {
    return this.#waiters.wait(typeof states === 'string' ? [states] : states, this.#state, options)
  }

  async #runStart (): Promise<void> {
    if (!this.#hasLaunched) {
      await this.#publishInTransition('launch')
      this.#hasLaunched = true
    }
    const done: Subscription[] = []
    try {
      this.#assertNotCancelled()
      this.#enter('STARTING')
      await this.#runInOrder('start', done)
      this.#enter('STARTED')
      await this.#runInOrder('ready', [])
    } catch (error) {
      const failures = error instanceof ChannelFailures ? [...error.errors] : []
      if (this.#state === 'STARTED') await this.#runStop(failures)
      if (this.#state === 'STARTING') await this.#rollBack(done, failures)
      throw failures.length > 0 ? new ChannelFailures(failures, error) : error
    }
  }

  /** Unlike a publish, ends with the first failure: nothing is started on top of what did not start. */
  async #runInOrder (name: 'start' | 'ready', done: Subscription[]): Promise<void> {
    const channel = this.channel(name)
    for (const subscription of channel.subscriptions) {
      this.#assertNotCancelled()
      if (!subscription.isActive) continue
      try {
        await runInTransition(this, channel, subscription)
        done.push(subscription)
      } catch (failure) {
        throw new ChannelFailures([failure as ListenerFailure])
      }
    }
    this.#assertNotCancelled()
  }

  #assertNotCancelled (): void {
    if (this.#cancelledBy !== undefined) throw new StartCancelled(this.#cancelledBy)
  }

  /** The units that had started, last first; then the `stop` listeners that belong to no unit. */
  async #rollBack (done: readonly Subscription[], failures: ListenerFailure[]): Promise<void> {
    this.#enter('STOPPING')
    const stops = this.channel('stop').subscriptions
    const startUnits = new Set(this.channel('start').subscriptions.map(({ unit }) => unit).filter(unit => unit !== undefined))
    const undoing = done.toReversed().flatMap(({ unit }) => stops.filter(stop => unit !== undefined && stop.unit === unit))
    const others = stops.filter(({ unit }) => unit === undefined || !startUnits.has(unit))
    await this.#runAll(this.channel('stop'), [...new Set([...undoing, ...others])], failures)
    this.#enter('STOPPED')
  }

  #stop (by: 'stop' | 'exit'): Promise<void> {
    if (this.#stopping !== undefined) return this.#stopping
    if (this.#starting === undefined && this.#state !== 'STARTED') return Promise.resolve()
    const stopping = inNextTurn(() => this.#cancelStartThenStop(by)).finally(() => { if (this.#stopping === stopping) this.#settled() })
    this.#stopping = stopping
    return stopping
  }

  async #cancelStartThenStop (by: string): Promise<void> {
    const failures: ListenerFailure[] = []
    if (this.#starting !== undefined) {
      this.#cancelledBy = by
      // Whoever called start() hears of its failure; here only that of its undoing counts.
      await this.#starting.catch(error => {
        if (error instanceof ChannelFailures) failures.push(...error.errors.filter(({ channel }) => channel === 'drain' || channel === 'stop'))
      })
    }
    if (this.#state === 'STARTED') await this.#runStop(failures)
    if (failures.length > 0) throw new ChannelFailures(failures)
  }

  async #runStop (failures: ListenerFailure[]): Promise<void> {
    // The caller of graceful() hears of its failure.
    await this.#graceful?.catch(() => {})
    this.#enter('STOPPING')
    for (const name of ['drain', 'stop']) {
      const channel = this.channel(name)
      await this.#runAll(channel, channel.subscriptions, failures)
    }
    this.#enter('STOPPED')
  }

  async #runExit (): Promise<void> {
    const failures: ListenerFailure[] = []
    try {
      await this.#stop('exit')
    } catch (error) {
      failures.push(...(error as ChannelFailures).errors)
    }
    this.#enter('EXITING')
    const channel = this.channel('exit')
    await this.#runAll(channel, channel.subscriptions, failures)
    this.#enter('EXITED')
    if (failures.length > 0) throw new ChannelFailures(failures)
  }

  async #publishInTransition (name: string): Promise<void> {
    const channel = this.channel(name)
    const failures: ListenerFailure[] = []
    await this.#runAll(channel, channel.subscriptions, failures)
    if (failures.length > 0) throw new ChannelFailures(failures)
  }

  async #runAll (channel: Channel, subscriptions: readonly Subscription[], failures: ListenerFailure[]): Promise<void> {
    for (const subscription of subscriptions) {
      if (!subscription.isActive) continue
      try {
        await runInTransition(this, channel, subscription)
      } catch (failure) {
        failures.push(this.reported(failure as ListenerFailure))
      }
    }
  }

  #settled (): void {
    this.#starting = undefined
    this.#stopping = undefined
    this.#cancelledBy = undefined
  }

  #enter (state: State): void {
    const from = this.#state
    if (!TRANSITIONS[from].includes(state)) throw new IllegalTransition(`become ${state}`, from)
    this.#state = state
    // Before anybody hears of it, and asks for the next transition.
    if (state === 'STOPPED') this.#settled()
    this.log(`Bus ${state}`, 'info', undefined, 'FST_KEEP_ENGINE_STATE')
    stateChanged.publish({ bus: this, from, to: state })
    this.#waiters.entered(state)
  }
}

/** A transition is on record before its first listener or state change can ask for another one. */
async function inNextTurn (transition: () => Promise<void>): Promise<void> {
  await Promise.resolve()
  await transition()
}
