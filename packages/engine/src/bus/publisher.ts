import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import type { Channels, LogEntry, LogLevel } from './channels.js'
import { Channel, isThenable, type Listener, type SubscribeOptions } from './channel.js'
import { ChannelFailures, type ListenerFailure } from './channel-failures.js'

const logFailed = diagnosticsChannel('fastkeep:engine:log-failed')

/** Channels by name, and listeners that are awaited one after the other in the order of their priority. */
export class Publisher {
  readonly #channels = new Map<string, Channel>()

  /**
   * Adds a listener to a channel and returns the function that takes it away again. A listener that is subscribed
   * already gets the new options and is still called once. One that is subscribed during a publish does not run in it.
   *
   * A `stop` listener that has the same `name` as a `start` listener undoes just that one: when a start fails, it runs
   * only if its start listener had been done.
   *
   * @returns a function that unsubscribes
   */
  subscribe<C extends keyof Channels> (channel: C, listener: Listener<Channels[C]>, options?: SubscribeOptions): () => void
  subscribe (channel: string, listener: Listener, options?: SubscribeOptions): () => void
  subscribe (channel: string, listener: Listener, options: SubscribeOptions = {}): () => void {
    return this.channel(channel).add(listener, options)
  }

  /** Takes a listener away; `false` if it was not there. */
  unsubscribe (channel: string, listener: Listener<never[]>): boolean {
    return this.#channels.get(channel)?.remove(listener as Listener) ?? false
  }

  /** Whether anybody listens to a channel. */
  hasListeners (channel: string): boolean {
    return (this.#channels.get(channel)?.subscriptions.length ?? 0) > 0
  }

  /**
   * Runs all listeners of a channel in order, each after the one before has settled, even if some fail.
   *
   * @returns what the listeners returned, in order
   * @throws {ChannelFailures} after the last listener, if any failed
   */
  publish<C extends keyof Channels> (channel: C, ...args: Channels[C]): Promise<unknown[]>
  publish (channel: string, ...args: unknown[]): Promise<unknown[]>
  async publish (name: string, ...args: unknown[]): Promise<unknown[]> {
    const channel = this.#channels.get(name)
    const outputs: unknown[] = []
    if (channel === undefined) return outputs
    const failures: ListenerFailure[] = []
    for (const subscription of channel.subscriptions) {
      if (!subscription.isActive) continue
      try {
        const output = channel.run(subscription, args)
        outputs.push(isThenable(output) ? await output : output)
      } catch (failure) {
        failures.push(this.reported(failure as ListenerFailure))
      }
    }
    if (failures.length > 0) throw new ChannelFailures(failures)
    return outputs
  }

  /**
   * Publishes a {@link LogEntry} on `log`. A log listener that fails disturbs nobody: its failure goes to the
   * diagnostics channel `fastkeep:engine:log-failed`.
   *
   * @param code a stable name of the event, e.g. `FST_KEEP_ENGINE_STATE`
   */
  log (message: string, level: LogLevel = 'info', error?: unknown, code?: string): void {
    const channel = this.#channels.get('log')
    if (channel === undefined) return
    const entry: LogEntry = { message, level, ...error === undefined ? {} : { error }, ...code === undefined ? {} : { code } }
    for (const subscription of channel.subscriptions) {
      if (!subscription.isActive) continue
      try {
        const output = channel.run(subscription, [entry])
        if (isThenable(output)) output.then(undefined, failure => logFailed.publish({ bus: this, failure }))
      } catch (failure) {
        logFailed.publish({ bus: this, failure })
      }
    }
  }

  /** Says at once what the caller hears only after the listeners that still run. */
  protected reported (failure: ListenerFailure): ListenerFailure {
    this.log(`Listener of "${failure.channel}" failed: ${failure.message}`, 'error', failure, failure.code)
    return failure
  }

  protected channel (name: string): Channel {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = new Channel(name)
      this.#channels.set(name, channel)
    }
    return channel
  }
}
