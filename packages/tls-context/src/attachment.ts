import { randomBytes } from 'node:crypto'
import type { Server } from 'node:tls'
import type { Stapler } from './ocsp/stapler.js'
import { gate, type GateOptions } from './peer/gate.js'
import { redirectPlainHttp, refusePlainHttp, type PlainHttp } from './plain-http.js'
import { redirectTarget } from './redirect.js'
import type { ReportEvent } from './events.js'
import { keepPreviousKeys } from './tickets.js'
import type { TicketChain } from './ticket-chain.js'

/** Whatever `https.createServer`, `http2.createSecureServer`, `tls.createServer` and Fastify make. */
export type SecureServer = Server

export interface AttachmentOptions {
  readonly plainHttp: PlainHttp
  readonly handshakeTimeout: number
  readonly gate: Pick<GateOptions, 'verify' | 'isOfResumed'> | undefined
  readonly stapler: Stapler | undefined
  /** Where the tickets of the epoch before are to resume too. */
  previousTickets (): TicketChain | undefined
  readonly report: ReportEvent
  /** Whether a certificate of the present ones covers the name. */
  isOurs (host: string): boolean
}

/** One server that serves with a context, until it is closed or detached. */
export class Attachment {
  readonly server: Server
  readonly #options: AttachmentOptions
  readonly #undo: Array<() => void> = []
  #stapling: (() => void) | undefined

  constructor (server: SecureServer, options: AttachmentOptions) {
    this.server = server
    this.#options = options
    const { plainHttp, handshakeTimeout } = options
    if (plainHttp === 'refuse') this.#undo.push(refusePlainHttp(this.server, handshakeTimeout))
    else if (plainHttp !== false) {
      const target = redirectTarget({
        origin: plainHttp === 'redirect' ? undefined : plainHttp.redirect,
        isOurs: host => options.isOurs(host),
        port: () => (this.server.address() as { port?: number } | null)?.port,
      })
      this.#undo.push(redirectPlainHttp(this.server, target, handshakeTimeout))
    }
    if (options.gate !== undefined) this.#undo.push(gate(this.server, { ...options.gate, patience: handshakeTimeout, report: options.report }))
    this.#afterSwap()
  }

  /** Everything anew: `setSecureContext` forgets what it is not given. */
  swap (secureOptions: object): void {
    this.server.setSecureContext(secureOptions)
    this.#afterSwap()
  }

  detach (): void {
    this.#stapling?.()
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  #afterSwap (): void {
    const { stapler } = this.#options
    const previousTickets = this.#options.previousTickets()
    if (previousTickets !== undefined) keepPreviousKeys(this.server, previousTickets, () => randomBytes(16))
    // A listener that has nothing to give would still cost each handshake a call.
    if (stapler === undefined || stapler.isNeeded === (this.#stapling !== undefined)) return
    if (this.#stapling === undefined) {
      this.#stapling = staple(this.server, stapler)
    } else {
      this.#stapling()
      this.#stapling = undefined
    }
  }
}

function staple (server: Server, stapler: Stapler): () => void {
  const onRequest = (certificate: Buffer, _issuer: Buffer, callback: (error: Error | null, response: Buffer | null) => void): void => {
    callback(null, stapler.responseFor(certificate))
  }
  server.on('OCSPRequest', onRequest as never)
  return () => { server.off('OCSPRequest', onRequest as never) }
}
