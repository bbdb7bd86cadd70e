import type { BrokerEvents } from './broker.js'

/** Topics that are remembered. Clients may choose them: who comes and goes is told once. */
const MOST = 1_000

/** Topics that are not carried by a broker that is there otherwise: each is told once, and so is its return. */
export class Refusals {
  readonly #events: Pick<BrokerEvents, 'away' | 'back'>
  /** How many publications each of them has missed. */
  readonly #missed = new Map<string, number>()

  constructor (events: Pick<BrokerEvents, 'away' | 'back'>) {
    this.#events = events
  }

  /** @param missed publications that were not carried for that */
  add (topic: string, error: Error, missed = 0): void {
    const before = this.#missed.get(topic)
    this.#missed.set(topic, (before ?? 0) + missed)
    if (before !== undefined) return
    const [oldest = ''] = this.#missed.keys()
    if (this.#missed.size > MOST) this.#missed.delete(oldest)
    this.#events.away(error, topic)
  }

  /** The topic is carried. */
  remove (topic: string): void {
    const missed = this.#missed.get(topic)
    if (missed === undefined) return
    this.#missed.delete(topic)
    this.#events.back(missed, topic)
  }
}
