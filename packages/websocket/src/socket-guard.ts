import { errorMonitor } from 'node:events'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Seat } from './connection-limits.js'
import type { InnerSocket } from './guarded-socket.js'
import { Heartbeat } from './heartbeat.js'
import { byteLength, Inbox, type InboxOwner } from './inbox.js'
import type { LeftToLibrary } from './left-to-library.js'
import { MessageFlow } from './message-flow.js'
import type { Data, SendOptions } from './outbox.js'
import { RateLimit } from './rate-limit.js'
import { report, type Level, type Report, type ReportedEvent } from './report.js'
import type { RoutePolicy } from './route-policy.js'
import { isHello, SIGNATURE_BYTES } from './signing.js'
import { SignedTraffic } from './signed-traffic.js'
import type { Peer } from './socket.js'
import type { Topics } from './topics.js'

/** Who was let in at the handshake, and on what terms. */
export interface Admission {
  readonly peer: Peer
  readonly policy: RoutePolicy
  readonly seat: Seat
  readonly log: FastifyBaseLogger
}

/** No sign of load: who was opened at the same time comes again spread over a second (PROTOCOL.md). */
const SOON = 'retry-after=1'

/** What this package knows of one socket; what comes and goes on it passes through here. */
export class SocketGuard implements InboxOwner {
  readonly peer: Peer
  readonly policy: RoutePolicy
  readonly topics: Topics
  readonly log: FastifyBaseLogger
  /** Set by whatever comes or goes (a publication too), reset by the look for idle sockets. */
  hasTraffic = true
  readonly #socket: InnerSocket
  readonly #heartbeat: Heartbeat
  readonly #seat: Seat
  readonly #inbox: Inbox
  readonly #signing: SignedTraffic | undefined
  readonly #openedAt = performance.now()
  readonly #leavesErrors: boolean
  #rate: RateLimit | undefined
  #flow: MessageFlow | undefined
  #activeAt = this.#openedAt
  #isFirstMessage = true
  #hasStopped = false
  /** It is to be closed once it has been answered, or at this time (ms of `performance.now()`). */
  #farewell: { readonly end: () => void, readonly deadline: number } | undefined

  /**
   * @param firstPing when it is due, in ms of `performance.now()`
   * @param left what is not guarded here
   */
  constructor (socket: InnerSocket, connection: Duplex, { peer, policy, seat, log }: Admission, topics: Topics, firstPing: number, left: LeftToLibrary) {
    this.#socket = socket
    this.#heartbeat = new Heartbeat(socket, connection, firstPing)
    this.#seat = seat
    this.peer = peer
    this.policy = policy
    this.log = log
    this.#leavesErrors = left.errors === true
    this.topics = topics
    this.#inbox = new Inbox(socket, this, policy.hasEnvelopes, !left.errors)
    if (left.earlyMessages && !policy.hasEnvelopes) this.#inbox.release()
    this.#signing = policy.keyRing && new SignedTraffic(socket, policy.keyRing)
    policy.counters.opened++
    this.report('debug', 'opened', { code: 'FST_KEEP_WEBSOCKET_OPENED' }, 'WebSocket opened')
  }

  /** ms that the last ping took. */
  get latency (): number | undefined {
    return this.#heartbeat.latency
  }

  /** Bytes that the largest frame may have. */
  get maxFrame (): number {
    return this.policy.maxPayload + (this.isSigned ? SIGNATURE_BYTES : 0)
  }

  /** Whether each message has a signature of its own: then a frame is for one socket, and goes by `send`. */
  get isSigned (): boolean {
    return this.#signing !== undefined
  }

  /** Whether frames made once may be written to the connection of this socket, past its `send`. */
  get takesSharedFrames (): boolean {
    return !this.isSigned && this.#socket.extensions === ''
  }

  /** Messages that wait for the handler, or that it has not done with. */
  get pending (): number {
    return this.#inbox.held + (this.#flow?.pending ?? 0)
  }

  /**
   * The handshake is over and all listeners of others are attached.
   *
   * @returns whether the handler may have the socket, or a promise of that where the two sides sign
   */
  begin (request: FastifyRequest): true | Promise<boolean> {
    if (this.policy.hasEnvelopes) this.#flow = new MessageFlow(this.#socket, request)
    return this.#signing?.begin() ?? true
  }

  /** A `message` listener is about to be attached. */
  expectListener (): void {
    this.#inbox.expectListener()
  }

  /** The handler is ready for messages. */
  release (): void {
    this.#inbox.release()
    if (this.#farewell !== undefined) this.#flow?.finish(this.#farewell.end)
  }

  /**
   * For a socket that is closed for no fault of its peer: reads no more, and closes it once the `messages` that have
   * come are answered, after `replyTimeout` at the latest.
   */
  bidFarewell (close: () => void): void {
    if (this.#flow === undefined) return close()
    const end = (): void => {
      close()
      // Its answer to the close frame must be read.
      this.#socket.resume()
    }
    this.#farewell = { end, deadline: performance.now() + this.policy.replyTimeout }
    if (this.#inbox.held === 0) this.#flow.finish(end)
    else this.#socket.pause()
  }

  /** The handler failed. */
  fail (error: unknown): void {
    this.#inbox.fail(error)
  }

  /** An event of the socket. @returns whether it was dealt with here */
  receive (event: string | symbol, args: unknown[]): boolean {
    switch (event) {
      case 'message':
        if (this.#admits(byteLength(args[0]))) this.#receiveMessage(args[0], args[1] as boolean)
        return true
      case 'ping':
      case 'pong':
        if ((event === 'pong' && this.#heartbeat.takePong()) || this.#admits(byteLength(args[0]))) this.#inbox.deliver(event, args)
        return true
      case 'close':
        this.#end(args[0] as number)
        this.#inbox.deliver(event, args)
        return true
      case 'error':
        if (!this.#leavesErrors) this.#reportLoss(args[0] as Error)
        this.#inbox.deliver(errorMonitor, args)
        this.#inbox.deliver(event, args)
        return true
      default:
        return false
    }
  }

  /** A message for the handler, early or in time. */
  consume (data: unknown, isBinary: boolean): void {
    if (this.#flow === undefined) this.#inbox.deliver('message', [data, isBinary])
    else if (!isBinary) this.#flow.take(String(data))
    else if (this.#socket.listenerCount('message') > 0) this.#inbox.deliver('message', [data, isBinary])
    else this.close(1003, 'no binary messages here', 'FST_KEEP_WEBSOCKET_BINARY_UNEXPECTED')
  }

  /** What is to be sent instead of the message: signed, where that is asked for. */
  outgoing (data: Data, options: SendOptions): Data {
    this.hasTraffic = true
    return this.#signing === undefined ? data : this.#signing.sign(data, options)
  }

  /**
   * Closes the socket, reports why under a stable code, and delivers nothing more that comes. Does nothing on a socket
   * that is closing already.
   */
  close (closeCode: number, reason: string, code: string, details: Record<string, unknown> = {}, level: Level = 'warn'): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    this.#reportClosing(closeCode, reason, code, details, level)
    this.#stop()
    this.#socket.close(closeCode, reason)
  }

  #reportClosing (closeCode: number, reason: string, code: string, details: Record<string, unknown>, level: Level): void {
    this.policy.counters.closedBecause(code)
    this.report(level, 'closing', { code, closeCode, ...details }, `WebSocket closed: ${reason}`)
  }

  overflowed (): void {
    this.close(1008, 'too many messages before the server was ready', 'FST_KEEP_WEBSOCKET_EARLY_MESSAGES')
  }

  failed (err: unknown): void {
    const code = 'FST_KEEP_WEBSOCKET_HANDLER_FAILED'
    // A listener of `close` or `error` fails when the socket has been closed already, with another code.
    if (this.#socket.readyState === this.#socket.OPEN) this.close(1011, 'internal error', code, { err }, 'error')
    else this.report('error', 'failed', { code, err }, 'A listener of a closed WebSocket failed')
  }

  /** Is it alive, idle, too old? @param now ms of `performance.now()`; what came until then has been read */
  look (now: number, pingInterval: number): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#farewell !== undefined) {
      if (now >= this.#farewell.deadline) this.#farewell.end()
      return
    }
    const { idleTimeout, lifetime } = this.policy
    if (this.hasTraffic) {
      this.hasTraffic = false
      this.#activeAt = performance.now()
    }
    if (lifetime > 0 && now - this.#openedAt >= lifetime) this.#retire('end of its lifetime', 'FST_KEEP_WEBSOCKET_LIFETIME')
    else if (idleTimeout > 0 && now - this.#activeAt >= idleTimeout) this.#retire('idle', 'FST_KEEP_WEBSOCKET_IDLE')
    else if (!this.#heartbeat.beat(now, pingInterval)) this.#cut()
  }

  /** What is on its way to it is taken still. */
  #retire (why: string, code: string): void {
    this.bidFarewell(() => {
      if (this.#socket.readyState !== this.#socket.OPEN) return
      const reason = `${why}; ${SOON}`
      this.#reportClosing(1013, reason, code, {}, 'info')
      this.#socket.close(1013, reason)
    })
  }

  report (level: Level, event: ReportedEvent, details: Report, message: string): void {
    report(this.log, level, event, { route: this.policy.route, ...details }, message)
  }

  #admits (bytes: number): boolean {
    if (this.#hasStopped) return false
    this.hasTraffic = true
    const now = performance.now()
    this.#rate ??= new RateLimit(this.policy, now)
    const excess = this.#rate.take(bytes, now)
    if (excess === undefined) return true
    this.close(1008, `too many ${excess} per second`, 'FST_KEEP_WEBSOCKET_RATE_LIMIT', { excess })
    return false
  }

  #receiveMessage (data: unknown, isBinary: boolean): void {
    this.policy.counters.received++
    if (this.#signing !== undefined) {
      const payload = this.#signing.receive(data, isBinary)
      if (payload !== undefined) this.#inbox.take(payload, isBinary)
      return
    }
    if (this.#isFirstMessage) {
      this.#isFirstMessage = false
      if (!isBinary && Buffer.isBuffer(data) && isHello(data)) {
        this.close(1008, 'signing: not configured here', 'FST_KEEP_WEBSOCKET_SIGNATURE_REFUSED')
        return
      }
    }
    this.#inbox.take(data, isBinary)
  }

  /** An `error` event: ws has sent the close frame that fits, or the connection is gone. */
  #reportLoss (error: Error & { code?: unknown }): void {
    if (typeof error.code === 'string' && error.code.startsWith('WS_ERR_')) {
      this.policy.counters.closedBecause('FST_KEEP_WEBSOCKET_FRAME_REFUSED')
      this.report('warn', 'closing', { code: 'FST_KEEP_WEBSOCKET_FRAME_REFUSED', err: error }, `WebSocket closed: ${error.message}`)
    } else {
      this.report('debug', 'failed', { code: 'FST_KEEP_WEBSOCKET_CONNECTION_LOST', err: error }, `WebSocket lost: ${error.message}`)
    }
  }

  #cut (): void {
    this.policy.counters.closedBecause('FST_KEEP_WEBSOCKET_PEER_LOST')
    this.report('info', 'closing', { code: 'FST_KEEP_WEBSOCKET_PEER_LOST' }, 'WebSocket cut: its peer has not answered a ping')
    this.#socket.terminate()
  }

  #stop (): void {
    this.#hasStopped = true
    this.#inbox.stop()
    this.#flow?.stop()
    // Its answer to the close frame must be read.
    if (this.#socket.isPaused) this.#socket.resume()
  }

  #end (closeCode: number): void {
    this.#hasStopped = true
    this.#flow?.stop()
    this.#signing?.end()
    this.#seat.leave()
    this.policy.counters.closed(closeCode)
    const open = Math.round(performance.now() - this.#openedAt)
    this.report('debug', 'closed', { code: 'FST_KEEP_WEBSOCKET_CLOSED', closeCode, open }, `WebSocket closed with ${closeCode} after ${open} ms`)
  }
}
