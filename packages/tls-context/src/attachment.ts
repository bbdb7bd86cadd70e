import { randomBytes } from 'node:crypto'
import type { Server, TLSSocket } from 'node:tls'
import type { Stapler } from './ocsp/stapler.js'
import { peerCertificateOf } from './peer/peer-certificate.js'
import type { compileVerify } from './peer/rules.js'
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
  readonly verify: ReturnType<typeof compileVerify> | undefined
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
    const { plainHttp, handshakeTimeout, verify } = options
    if (plainHttp === 'refuse') this.#undo.push(refusePlainHttp(this.server))
    else if (plainHttp !== false) {
      const target = redirectTarget({
        origin: plainHttp === 'redirect' ? undefined : plainHttp.redirect,
        isOurs: host => options.isOurs(host),
        port: () => (this.server.address() as { port?: number } | null)?.port,
      })
      this.#undo.push(redirectPlainHttp(this.server, target, handshakeTimeout))
    }
    if (verify !== undefined) this.#undo.push(gate(this.server, verify, options.report))
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

/** Keeps a connection from the servers of HTTP until its peer is let in; resumed sessions come through here too. */
function gate (server: Server, verify: NonNullable<AttachmentOptions['verify']>, report: ReportEvent): () => void {
  const behind = server.listeners('secureConnection') as Array<(socket: TLSSocket) => void>
  for (const listener of behind) server.off('secureConnection', listener)
  const onConnection = (socket: TLSSocket): void => {
    const peer = peerCertificateOf(socket)
    const pass = (): void => { for (const listener of behind) listener.call(server, socket) }
    // Without a certificate nobody claims to be anyone: whether that will do, the mode or the route says.
    if (peer === null) return pass()
    const ignore = (): void => {}
    const decide = (fault: string | null): void => {
      socket.off('error', ignore)
      if (socket.destroyed) return
      if (fault === null) return pass()
      report('peer-refused', { reason: fault, fingerprint256: peer.fingerprint256, remoteAddress: socket.remoteAddress })
      socket.destroy()
    }
    socket.on('error', ignore)
    const decision = verify(peer)
    if (decision instanceof Promise) decision.then(decide, () => decide('the application failed to decide'))
    else decide(decision)
  }
  server.on('secureConnection', onConnection)
  return () => {
    server.off('secureConnection', onConnection)
    for (const listener of behind) server.on('secureConnection', listener)
  }
}
