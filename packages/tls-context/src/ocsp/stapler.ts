import type { X509Certificate } from 'node:crypto'
import { factsOf } from '../certificates/certificate-facts.js'
import type { Identity } from '../certificates/load.js'
import { subjectOf } from '../certificates/validate.js'
import { tlsContextError } from '../errors.js'
import type { ReportEvent } from '../events.js'
import { fetchOcsp } from './fetch.js'
import { certificateId, ocspRequest } from './request.js'
import { readOcspResponse } from './response.js'

export interface OcspOptions {
  /** In ms, for one answer of a responder: 100 to 60,000. Default: 5,000. */
  timeout?: number
}

interface Staple {
  readonly response: Buffer
  readonly usableUntil: number
}

interface Entry {
  readonly leaf: X509Certificate
  readonly issuer: X509Certificate
  readonly responder: string
  staple: Staple | undefined
  timer: NodeJS.Timeout | undefined
  failures: number
  /** Settles with the first answer, good or not. */
  first: Promise<void>
}

const defaultTimeout = 5_000
const firstRetry = 60_000
const lastRetry = 3_600_000
const shortestRefresh = 300_000
const longestTimer = 2_147_483_647

/**
 * Keeps an OCSP response for each certificate that names a responder (RFC 6066 section 8), and fetches a new one in the
 * middle of its life. What cannot be had is not stapled, and clients do as they would without.
 */
export class Stapler {
  readonly #timeout: number
  readonly #report: ReportEvent
  #entries: ReadonlyMap<string, Entry> = new Map()

  constructor ({ timeout = defaultTimeout }: OcspOptions, report: ReportEvent) {
    this.#timeout = timeout
    this.#report = report
  }

  /** Whether there is anything to staple, so that each handshake has to ask. */
  get isNeeded (): boolean {
    return this.#entries.size > 0
  }

  /** These certificates are going to be served beside those that are; rejects as `ready`. */
  async prepare (identities: readonly Identity[]): Promise<void> {
    const served = this.#entries
    const wanted = this.#entriesOf(identities)
    this.#entries = new Map([...served, ...wanted])
    try {
      await this.ready(wanted)
    } catch (error) {
      this.#keep(served)
      throw error
    }
  }

  /** From now on these certificates are served, and no others. */
  serve (identities: readonly Identity[]): void {
    this.#keep(this.#entriesOf(identities))
  }

  #keep (entries: ReadonlyMap<string, Entry>): void {
    for (const [key, entry] of this.#entries) if (!entries.has(key)) clearTimeout(entry.timer)
    this.#entries = entries
  }

  #entriesOf (identities: readonly Identity[]): Map<string, Entry> {
    const entries = new Map<string, Entry>()
    for (const { chain: [leaf, ...rest] } of identities) {
      const [responder] = factsOf(leaf).ocspResponders
      if (responder === undefined) continue
      const issuer = rest.find(candidate => leaf.checkIssued(candidate))
      const key = leaf.raw.toString('latin1')
      if (issuer === undefined || entries.has(key)) continue
      entries.set(key, this.#entries.get(key) ?? this.#begin({ leaf, issuer, responder, staple: undefined, timer: undefined, failures: 0, first: Promise.resolve() }))
    }
    return entries
  }

  /** For the listener of `OCSPRequest`. */
  responseFor (certificate: Buffer): Buffer | null {
    const staple = this.#entries.get(certificate.toString('latin1'))?.staple
    return staple !== undefined && staple.usableUntil > Date.now() ? staple.response : null
  }

  /** Rejects with `STAPLE_MISSING` where a certificate demands a staple and none can be had. */
  async ready (entries = this.#entries): Promise<void> {
    const demanding = [...entries.values()].filter(({ leaf }) => factsOf(leaf).mustStaple)
    await Promise.all(demanding.map(({ first }) => first))
    const missing = demanding.find(({ staple }) => staple === undefined)
    if (missing !== undefined) throw tlsContextError('STAPLE_MISSING', `the certificate (${subjectOf(missing.leaf)}) demands a stapled OCSP response, and ${missing.responder} gave none that is good. Let this machine reach the responder, or have the certificate issued without must-staple`)
  }

  close (): void {
    for (const { timer } of this.#entries.values()) clearTimeout(timer)
    this.#entries = new Map()
  }

  #begin (entry: Entry): Entry {
    entry.first = this.#refresh(entry)
    return entry
  }

  async #refresh (entry: Entry): Promise<void> {
    let wait: number
    try {
      wait = await this.#fetch(entry)
      entry.failures = 0
    } catch (error) {
      wait = Math.min(lastRetry, firstRetry * 2 ** entry.failures++)
      this.#report('staple-failed', { subject: subjectOf(entry.leaf), responder: entry.responder, reason: (error as Error).message })
    }
    if (!this.#isServed(entry)) return
    entry.timer = setTimeout(() => { this.#refresh(entry).catch(() => {}) }, Math.min(longestTimer, wait))
    entry.timer.unref()
  }

  /** @returns ms until the next one is to be fetched */
  async #fetch (entry: Entry): Promise<number> {
    const { leaf, issuer, responder } = entry
    const id = certificateId(leaf, issuer)
    const response = await fetchOcsp(responder, ocspRequest(id), this.#timeout)
    const { status, thisUpdate, nextUpdate } = readOcspResponse(response, id, issuer, new Date())
    if (status !== 'good') {
      entry.staple = undefined
      throw new Error(status === 'revoked' ? 'the certificate is revoked' : 'the responder does not know the certificate')
    }
    const usableUntil = nextUpdate?.getTime() ?? Date.now() + lastRetry
    entry.staple = { response, usableUntil }
    this.#report('stapled', { subject: subjectOf(leaf), usableUntil: new Date(usableUntil) })
    return Math.max(shortestRefresh, (thisUpdate.getTime() + usableUntil) / 2 - Date.now())
  }

  #isServed (entry: Entry): boolean {
    // Before `serve` has ended, the map is still the old one; a first answer comes later than that.
    return this.#entries.get(entry.leaf.raw.toString('latin1')) === entry
  }
}
