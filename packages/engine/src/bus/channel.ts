import { boolean, integer, optionChecker, string, type Rule } from '@fastkeep/options'
import { ListenerInvalid, ListenerTimeout } from '../errors.js'
import { ListenerFailure } from './channel-failures.js'

export type Listener<Args extends unknown[] = unknown[]> = (...args: Args) => unknown

export interface SubscribeOptions {
  /** Lower runs first; equal ones run in the order of subscription. Default 50. */
  priority?: number
  /** Unsubscribe after the first run. Default false. */
  once?: boolean
  /** How failures and logs call the listener. Default: the function's own name. */
  name?: string
  /** Unsubscribes when it aborts. */
  signal?: AbortSignal
  /** ms after which a listener that is still not done counts as failed; it is not waited for any longer. Default: none. */
  timeout?: number
}

export interface Subscription {
  readonly listener: Listener
  readonly priority: number
  readonly once: boolean
  readonly name: string
  /** The name that was given, and that pairs a `stop` listener with its `start` listener. */
  readonly unit: string | undefined
  readonly timeout: number | undefined
  isActive: boolean
}

/** The ordered listeners of one channel. The list is replaced, never changed: a publish runs over the list that it found. */
export class Channel {
  readonly name: string
  #subscriptions: readonly Subscription[] = []

  constructor (name: string) {
    this.name = name
  }

  get subscriptions (): readonly Subscription[] {
    return this.#subscriptions
  }

  /** Adds a listener; one that is there already takes the new options and place. */
  add (listener: Listener, options: SubscribeOptions): () => void {
    checkSubscription(this.name, listener, options)
    if (options.signal?.aborted === true) return () => {}
    this.remove(listener)
    const subscription: Subscription = {
      listener,
      priority: options.priority ?? 50,
      once: options.once ?? false,
      name: options.name ?? (listener.name || 'anonymous'),
      unit: options.name,
      timeout: options.timeout,
      isActive: true,
    }
    const list = this.#subscriptions
    const after = list.findIndex(other => other.priority > subscription.priority)
    this.#subscriptions = after === -1 ? [...list, subscription] : list.toSpliced(after, 0, subscription)

    const unsubscribe = (): void => {
      options.signal?.removeEventListener('abort', unsubscribe)
      this.#drop(subscription)
    }
    options.signal?.addEventListener('abort', unsubscribe, { once: true })
    return unsubscribe
  }

  remove (listener: Listener): boolean {
    const subscription = this.#subscriptions.find(other => other.listener === listener)
    return subscription !== undefined && this.#drop(subscription)
  }

  /** Runs one listener; what it throws comes back as a {@link ListenerFailure}. */
  run (subscription: Subscription, args: unknown[]): unknown {
    if (subscription.once) this.#drop(subscription)
    try {
      const output = subscription.listener(...args)
      return isThenable(output) ? this.#settle(subscription, output) : output
    } catch (cause) {
      throw new ListenerFailure(this.name, subscription.name, cause)
    }
  }

  async #settle (subscription: Subscription, output: PromiseLike<unknown>): Promise<unknown> {
    try {
      return await (subscription.timeout === undefined ? output : within(subscription.timeout, output))
    } catch (cause) {
      throw new ListenerFailure(this.name, subscription.name, cause)
    }
  }

  #drop (subscription: Subscription): boolean {
    if (!subscription.isActive) return false
    subscription.isActive = false
    this.#subscriptions = this.#subscriptions.filter(other => other !== subscription)
    return true
  }
}

const RULES = {
  priority: { expected: 'a number', accepts: value => Number.isFinite(value) },
  once: boolean,
  name: string(),
  signal: { expected: 'an AbortSignal', accepts: value => value instanceof AbortSignal },
  timeout: integer(1, 2 ** 31 - 1, 'ms'),
} satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

function checkSubscription (channel: string, listener: unknown, options: SubscribeOptions): void {
  if (typeof listener !== 'function') throw new ListenerInvalid(channel, listener === null ? 'null' : typeof listener)
  checkOptions(options, RULES)
}

export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

async function within (timeout: number, output: PromiseLike<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ListenerTimeout(timeout)), timeout)
  })
  try {
    return await Promise.race([output, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
