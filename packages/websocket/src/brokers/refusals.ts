import type { BrokerEvents } from './broker.js'

/** Topics that are not carried by a broker that is there otherwise: each is told once, and so is its return. */
export class Refusals {
  readonly #events: Pick<BrokerEvents, 'away' | 'back'>
  readonly #most: number
  /** How many publications each of them has missed. */
  readonly #missed = new Map<string, number>()

  /** @param most topics that are remembered; the oldest beyond it are forgotten, and may be told again */
  constructor (events: Pick<BrokerEvents, 'away' | 'back'>, most = Infinity) {
    this.#events = events
    this.#most = most
  }

  get topics (): string[] {
    return [...this.#missed.keys()]
  }

  get isEmpty (): boolean {
    return this.#missed.size === 0
  }

  /** @param missed publications that were not carried for that */
  add (topic: string, error: Error, missed = 0): void {
    const before = this.#missed.get(topic)
    this.#missed.set(topic, (before ?? 0) + missed)
    if (before !== undefined) return
    for (const oldest of this.#missed.keys()) if (this.#missed.size > this.#most) this.#missed.delete(oldest)
    this.#events.away(error, topic)
  }

  /** The topic is carried. */
  remove (topic: string): void {
    const missed = this.#missed.get(topic)
    if (missed === undefined) return
    this.#missed.delete(topic)
    this.#events.back(missed, topic)
  }

  /** Nobody wants the topic any more. */
  forget (topic: string): void {
    this.#missed.delete(topic)
  }
}
