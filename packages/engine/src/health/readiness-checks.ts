import { setTimeout as delay } from 'node:timers/promises'
import type { Bus } from '../bus/bus.js'

/** Whether something that requests need is there; its signal aborts when nobody waits for the answer any more. */
export type ReadinessCheck = (signal: AbortSignal) => boolean | Promise<boolean>

export type CheckOutcome = 'ok' | 'failed' | 'timed out'

export interface ReadinessOutcome {
  readonly hold: boolean
  /** By the checks' names; `undefined` where there are none. */
  readonly outcomes: Readonly<Record<string, CheckOutcome>> | undefined
}

/**
 * Runs all checks side by side. Probes that come while they run share the outcome: however many ask, a check runs once
 * at a time, and anew after its timeout at the earliest. Why one fails is logged when that changes, and told nobody else.
 */
export class ReadinessChecks {
  readonly #bus: Bus
  readonly #checks: ReadonlyArray<readonly [string, ReadinessCheck]>
  readonly #timeout: number
  readonly #last = new Map<string, CheckOutcome>()
  #underWay: Promise<ReadinessOutcome> | undefined

  /** @param timeout ms for each of them */
  constructor (bus: Bus, checks: Readonly<Record<string, ReadinessCheck>>, timeout: number) {
    this.#bus = bus
    this.#checks = Object.entries(checks)
    this.#timeout = timeout
  }

  run (): Promise<ReadinessOutcome> {
    this.#underWay ??= this.#run().finally(() => { this.#underWay = undefined })
    return this.#underWay
  }

  async #run (): Promise<ReadinessOutcome> {
    if (this.#checks.length === 0) return { hold: true, outcomes: undefined }
    const entries = await Promise.all(this.#checks.map(async ([name, check]) => [name, await this.#outcome(name, check)] as const))
    return { hold: entries.every(([, outcome]) => outcome === 'ok'), outcomes: Object.fromEntries(entries) }
  }

  async #outcome (name: string, check: ReadinessCheck): Promise<CheckOutcome> {
    const ended = new AbortController()
    const lapse = delay(this.#timeout, 'timed out' as const, { signal: ended.signal, ref: false })
    try {
      const outcome = await Promise.race([holds(check, ended.signal), lapse])
      this.#noted(name, outcome)
      return outcome
    } catch (error) {
      this.#noted(name, 'failed', error)
      return 'failed'
    } finally {
      ended.abort()
    }
  }

  #noted (name: string, outcome: CheckOutcome, error?: unknown): void {
    const before = this.#last.get(name) ?? 'ok'
    this.#last.set(name, outcome)
    if (outcome === before) return
    const level = outcome === 'ok' ? 'info' : 'warn'
    this.#bus.log(`Readiness check ${name}: ${outcome}`, level, error, 'FST_KEEP_ENGINE_READINESS_CHECK')
  }
}

/** Only `true` holds: what a check forgot to return is not an answer. */
async function holds (check: ReadinessCheck, signal: AbortSignal): Promise<CheckOutcome> {
  return await check(signal) === true ? 'ok' : 'failed'
}
