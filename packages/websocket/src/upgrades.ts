import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Seat } from './connection-limits.js'
import { RETRY_AFTER, ShuttingDown } from './errors.js'
import type { Admission } from './socket-guard.js'
import { Ticker } from './ticker.js'

export interface UpgradesOptions {
  /** Time in ms that a handshake may take, from its headers to the end of its answer, unless its route says otherwise; `0` for any. */
  handshakeTimeout: number
  /** A handshake took longer: its connection is cut. */
  onTimeout: (handshakeTimeout: number) => void
}

interface Handshake {
  readonly connection: Duplex
  readonly startedAt: number
  response?: ServerResponse
  /** What it takes of the limits, to be given back if no socket comes of it. */
  seat?: Seat
  /** ms */
  timeout: number
  readonly onClose: () => void
}

/**
 * Stands between the HTTP server's `upgrade` event and @fastify/websocket, which listens here instead. It watches the
 * connections whose handshake is not done yet: Node has let go of them, and ws does not have them yet.
 */
export class Upgrades extends EventEmitter {
  /** By request: its connection is not `request.socket` where Node has yet to read a body. */
  readonly #pending = new Map<IncomingMessage, Handshake>()
  /** Who was let in, until the socket is made. */
  readonly #admissions = new Map<Duplex, Admission>()
  readonly #server: Server
  readonly #options: UpgradesOptions
  readonly #ticker = new Ticker(now => this.#look(now))
  #isClosed = false

  constructor (server: Server, options: UpgradesOptions) {
    super()
    this.#server = server
    this.#options = options
    this.expect(options.handshakeTimeout)
    server.on('upgrade', this.#onUpgrade)
  }

  /** A route has a timeout of its own (ms) that is to be noticed in time. */
  expect (handshakeTimeout: number): void {
    this.#ticker.expect(handshakeTimeout)
  }

  /** Lets go of the HTTP server, which may be another's. */
  detach (): void {
    this.#server.off('upgrade', this.#onUpgrade)
    this.#ticker.stop()
  }

  readonly #onUpgrade = (request: IncomingMessage, connection: Duplex, head: Buffer): void => {
    this.#watch(request, connection)
    if (this.#isClosed || !this.emit('upgrade', request, connection, head)) refuse(connection)
  }

  /** `injectWS` emits its upgrades here, past the HTTP server. */
  override emit (event: string | symbol, ...args: unknown[]): boolean {
    const [request, connection] = args as [IncomingMessage, Duplex]
    if (event === 'upgrade' && !this.#pending.has(request)) this.#watch(request, connection)
    return super.emit(event, ...args)
  }

  /** The request is about to be answered by Fastify: unless a WebSocket comes of it, the answer is its connection's last. */
  answering (request: IncomingMessage, response: ServerResponse): void {
    const handshake = this.#pending.get(request)
    if (handshake === undefined) return
    handshake.response = response
    response.shouldKeepAlive = false
    // What Fastify answers before its hooks (a malformed URL) passes the hook of @fastify/websocket that would end it.
    response.on('finish', () => handshake.connection.destroy())
  }

  /**
   * The handshake has come to its route.
   *
   * @param handshakeTimeout ms, counted from its beginning
   */
  begin (request: IncomingMessage, seat: Seat, handshakeTimeout: number): void {
    const handshake = this.#pending.get(request)
    if (handshake === undefined) return
    handshake.seat = seat
    handshake.timeout = handshakeTimeout
  }

  /** The handshake has passed the guard. @returns `false` if its connection is gone */
  admit (request: IncomingMessage, admission: Admission): boolean {
    const handshake = this.#pending.get(request)
    if (handshake !== undefined) this.#admissions.set(handshake.connection, admission)
    return handshake !== undefined
  }

  admissionOf (request: IncomingMessage): Admission | undefined {
    const handshake = this.#pending.get(request)
    return handshake && this.#admissions.get(handshake.connection)
  }

  /** Gives the admission to the socket that is being made on this connection; it is the socket's own from now on. */
  takeAdmission (connection: Duplex): Admission | undefined {
    const admission = this.#admissions.get(connection)
    this.#admissions.delete(connection)
    return admission
  }

  /** A socket has come of the handshake: the connection lets go of the response, and with that of the request. */
  upgraded (request: IncomingMessage): void {
    const { response, connection } = this.#pending.get(request) ?? {}
    if (response?.socket === connection) response?.detachSocket(connection as Socket)
    this.settled(request)
  }

  /** The handshake on this connection is done. */
  settled (request: IncomingMessage): void {
    const handshake = this.#pending.get(request)
    if (handshake === undefined) return
    handshake.connection.off('end', destroy).off('close', handshake.onClose)
    this.#pending.delete(request)
    this.#admissions.delete(handshake.connection)
    if (this.#pending.size === 0) super.emit('idle')
  }

  /** Resolves when no handshake is under way. */
  async whenIdle (): Promise<void> {
    if (this.#pending.size > 0) await once(this, 'idle')
  }

  /** Cuts the connections whose handshake is not done; returns how many. */
  cut (): number {
    const { size } = this.#pending
    for (const { connection } of this.#pending.values()) connection.destroy()
    return size
  }

  /**
   * Answers 503 from now on without asking Fastify, which once `app.close()` has begun answers past all hooks, and so
   * without the code that says why.
   */
  close (): void {
    this.#isClosed = true
  }

  #watch (request: IncomingMessage, connection: Duplex): void {
    const handshake: Handshake = {
      connection,
      startedAt: performance.now(),
      timeout: this.#options.handshakeTimeout,
      onClose: () => {
        handshake.seat?.leave()
        this.settled(request)
      },
    }
    connection.on('end', destroy).on('close', handshake.onClose)
    this.#pending.set(request, handshake)
    this.#ticker.start()
  }

  #look (now: number): boolean {
    for (const { connection, startedAt, timeout } of this.#pending.values()) {
      if (timeout === 0 || now - startedAt < timeout || connection.destroyed) continue
      this.#options.onTimeout(timeout)
      connection.destroy()
    }
    return this.#pending.size > 0
  }
}

/** A client that leaves by FIN: Node's servers leave their own half open. */
function destroy (this: Duplex): void {
  this.destroy()
}

function refuse (connection: Duplex): void {
  const { statusCode, code, message } = new ShuttingDown()
  const body = JSON.stringify({ statusCode, code, error: 'Service Unavailable', message })
  // Node takes its own error listener away before it emits `upgrade`.
  connection.on('error', () => connection.destroy())
  connection.end([
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Retry-After: ${RETRY_AFTER[code]}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n'), () => connection.destroy())
}
