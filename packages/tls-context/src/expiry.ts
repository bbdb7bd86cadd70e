import type { X509Certificate } from 'node:crypto'
import { soonFrom, subjectOf, validityOf } from './certificates/validate.js'
import type { ReportEvent } from './events.js'

const day = 86_400_000

/** Tells once a day of a certificate that comes near its end while it serves. Sleeps until then. */
export class ExpiryWatch {
  readonly #report: ReportEvent
  #leaves: readonly X509Certificate[] = []
  #timer: NodeJS.Timeout | undefined

  constructor (report: ReportEvent) {
    this.#report = report
  }

  watch (leaves: readonly X509Certificate[]): void {
    this.#leaves = leaves
    this.#schedule(Date.now())
  }

  close (): void {
    clearTimeout(this.#timer)
    this.#leaves = []
  }

  /** What is near its end now was told at the start or at the reload. */
  #schedule (now: number): void {
    clearTimeout(this.#timer)
    if (this.#leaves.length === 0) return
    const waits = this.#leaves.map(leaf => soonFrom(leaf).getTime() - now).map(wait => wait > 0 ? wait : day)
    // Node's timers end after 24 days: one of a day is near enough.
    this.#timer = setTimeout(() => this.#tell(), Math.min(day, ...waits))
    this.#timer.unref()
  }

  #tell (): void {
    const now = Date.now()
    for (const leaf of this.#leaves) {
      if (soonFrom(leaf).getTime() > now) continue
      const { validTo } = validityOf(leaf)
      this.#report('expires-soon', { subject: subjectOf(leaf), validTo, daysLeft: Math.floor((validTo.getTime() - now) / day) })
    }
    this.#schedule(now)
  }
}
