/** Why a request has no whole answer. */
export type Failure = 'refused' | 'reset' | 'truncated' | 'timeout' | 'not2xx' | 'corrupt'

/** What became of each request; every one is counted once. */
export interface LoadReport {
  /** All that were begun: the sum of the others. */
  asked: number
  ok: number
  /** Nobody listened. */
  refused: number
  /** The connection ended before a byte of the answer. */
  reset: number
  /** The connection ended within the answer, or with a WebSocket message unanswered. */
  truncated: number
  timeout: number
  not2xx: number
  /** Whole, and not what had to come. */
  corrupt: number
  /**
   * No failure: HTTP/2 streams of which the server said that it had not processed them (REFUSED_STREAM), and WebSocket
   * messages that crossed the server's close frame. They are sent again.
   */
  retried: number
  /** ms, of those that were answered. */
  p50: number
  p99: number
  longest: number
}

export function failedIn (report: Omit<LoadReport, 'asked' | 'retried' | 'corrupt'> & { corrupt?: number }): number {
  return report.refused + report.reset + report.truncated + report.timeout + report.not2xx + (report.corrupt ?? 0)
}

/** A request that has no whole answer, and why. */
export class Lost extends Error {
  readonly failure: Failure

  constructor (failure: Failure) {
    super(failure)
    this.failure = failure
  }
}

/** A request that the server has told to send again. */
export class Retried extends Error {}

type Counts = Record<Failure | 'ok' | 'retried', number>

interface Phase {
  readonly counts: Counts
  readonly latencies: number[]
}

/** The requests of one load by phase; each counts in the phase in which its outcome is known. */
export class Tally {
  readonly #phases = new Map<string, Phase>()
  #phase: Phase
  #asked = 0
  /** ms that the slowest answer took, of all phases. */
  longest = 0

  constructor (phase: string) {
    this.#phase = this.begin(phase)
  }

  begin (name: string): Phase {
    this.#phase = { counts: { ok: 0, refused: 0, reset: 0, truncated: 0, timeout: 0, not2xx: 0, corrupt: 0, retried: 0 }, latencies: [] }
    this.#phases.set(name, this.#phase)
    return this.#phase
  }

  /** Does one request and counts it. @returns whether it was answered */
  async count (request: () => Promise<void>): Promise<boolean> {
    this.#asked++
    const start = performance.now()
    try {
      await request()
      this.#phase.counts.ok++
      const latency = performance.now() - start
      this.#phase.latencies.push(latency)
      this.longest = Math.max(this.longest, latency)
      return true
    } catch (error) {
      if (error instanceof Retried) this.#phase.counts.retried++
      else if (error instanceof Lost) this.#phase.counts[error.failure]++
      else throw error
      return false
    }
  }

  get reports (): Record<string, LoadReport> {
    const reports = Object.fromEntries([...this.#phases].map(([name, phase]) => [name, reportOf(phase)]))
    const counted = Object.values(reports).reduce((sum, { asked }) => sum + asked, 0)
    if (counted !== this.#asked) throw new Error(`${this.#asked} requests were begun and ${counted} accounted for`)
    return reports
  }
}

function reportOf ({ counts, latencies }: Phase): LoadReport {
  const sorted = Float64Array.from(latencies).sort()
  const quantile = (q: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0)
  const asked = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return { asked, ...counts, p50: quantile(0.5), p99: quantile(0.99), longest: round(sorted.at(-1) ?? 0) }
}

function round (ms: number): number {
  return Math.round(ms * 10) / 10
}
