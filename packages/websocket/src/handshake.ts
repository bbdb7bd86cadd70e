import type { FastifyReply, FastifyRequest, preParsingAsyncHookHandler, preParsingHookHandler } from 'fastify'
import { Seat } from './connection-limits.js'
import {
  HandshakeMalformed, NotAuthenticated, NoWebSocketHere, OriginRefused, RETRY_AFTER, ShuttingDown, TlsRequired, VersionUnsupported
} from './errors.js'
import type { Authenticate } from './options.js'
import { originTest, ownOrigin, type OriginFunction } from './origin.js'
import { report } from './report.js'
import type { RoutePolicy } from './route-policy.js'
import type { Peer } from './socket.js'
import { userOf } from './user.js'

export interface HandshakeOptions {
  readonly policy: RoutePolicy
  /** Whether new sockets are refused because the server is going away. */
  isDraining: () => boolean
  /** The handshake has been given to this route. */
  begin: (request: FastifyRequest, seat: Seat) => void
  /** Told who has passed. */
  admit: (request: FastifyRequest, peer: Peer, seat: Seat) => void
}

/**
 * The guard of one WebSocket route. It lets HTTP requests by, and throws for an upgrade that it refuses, so that
 * Fastify answers like to any other request, with the headers that other plugins have set.
 *
 * A preParsing hook: after every onRequest hook (security headers, cookies and sessions are there, whatever the order
 * of registration), before validation and handlers.
 */
export function handshakeGuard ({ policy, isDraining, begin, admit }: HandshakeOptions): preParsingAsyncHookHandler {
  const isRightOrigin = originTest(policy.origin)

  return async function guardHandshake (request, reply) {
    if (!request.ws) return
    // A request of `injectWS` has no address.
    const seat = new Seat(request.ip as string | undefined)
    try {
      begin(request, seat)
      if (isDraining()) throw new ShuttingDown()
      checkHandshakeHeaders(request, reply)
      if (policy.requireTls && request.protocol !== 'https') throw new TlsRequired()
      const isRight = checkOrigin(request, isRightOrigin, policy.origin === 'any' || policy.authenticate !== undefined)
      // Only `true` will do: a function that returns something else has not decided.
      if (isRight !== true && await isRight !== true) throw new OriginRefused(`Origin ${JSON.stringify(request.headers.origin?.slice(0, 200))} is refused`)
      seat.take(policy.connectionScopes)
      const peer = policy.authenticate && await authenticated(request, policy.authenticate)
      const user = (policy.userOf ?? userOf)(peer, request)
      if (user !== undefined) seat.takeAs(user)
      admit(request, peer, seat)
    } catch (error) {
      seat.leave()
      const retryAfter = RETRY_AFTER[codeOf(error)]
      if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
      policy.counters.refused(codeOf(error))
      reportRefusal(request, error as Error, policy.route)
      throw error
    }
  }
}

/** The guard of a route that serves HTTP only, where @fastify/websocket would open a socket only to close it. */
export const refuseUpgrade: preParsingHookHandler = (request, _reply, payload, done) => {
  if (!request.ws) {
    done(null, payload)
    return
  }
  const error = new NoWebSocketHere()
  reportRefusal(request, error)
  done(error)
}

/** RFC 6455, 4.2.1 and 4.4. The version first: another version may well have other headers. */
function checkHandshakeHeaders ({ headers, raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.httpVersion !== '1.1') throw new HandshakeMalformed('a WebSocket begins with HTTP/1.1')
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw new HandshakeMalformed('Upgrade must be "websocket"')
  // `injectWS` gives it as a number.
  if (String(headers['sec-websocket-version']) !== '13') {
    reply.headers({ 'sec-websocket-version': '13', upgrade: 'websocket', connection: 'close, upgrade' })
    throw new VersionUnsupported()
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new HandshakeMalformed('Sec-WebSocket-Key must be 16 bytes in base64')
  }
  const protocols = headers['sec-websocket-protocol']
  if (protocols !== undefined && !areProtocols(protocols)) {
    throw new HandshakeMalformed('Sec-WebSocket-Protocol must list each subprotocol once')
  }
}

/** RFC 6455, 4.1: names that are tokens, "and each MUST be unique". */
function areProtocols (header: string): boolean {
  const names = header.split(',').map(name => name.trim())
  return names.every(name => /^[!#$%&'*+.^_`|~\w-]+$/.test(name)) && new Set(names).size === names.length
}

function checkOrigin (request: FastifyRequest, isRightOrigin: OriginFunction, mayBeAbsent: boolean): boolean | Promise<boolean> {
  const { origin } = request.headers
  if (origin !== undefined) return isRightOrigin(origin, request)
  // Every browser sends one: this is another client, which nothing but `authenticate` can tell from a stranger.
  if (!mayBeAbsent) throw new OriginRefused('a client without Origin is refused where nothing authenticates it')
  return true
}

async function authenticated (request: FastifyRequest, authenticate: Authenticate): Promise<Peer> {
  let peer
  try {
    peer = await authenticate(request)
  } catch (cause) {
    if (isClientError(cause)) throw cause
    request.log.warn({ code: 'FST_KEEP_WEBSOCKET_AUTHENTICATE_FAILED', err: cause }, 'authenticate threw: the handshake is refused')
    throw new NotAuthenticated({ cause })
  }
  if (!peer) throw new NotAuthenticated()
  return peer
}

function isClientError (error: unknown): boolean {
  const { statusCode } = Object(error) as { statusCode?: unknown }
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}

function codeOf (error: unknown): string {
  const { code } = Object(error) as { code?: unknown }
  return typeof code === 'string' ? code : 'FST_KEEP_WEBSOCKET_REFUSED'
}

function reportRefusal (request: FastifyRequest, error: Error & { statusCode?: unknown }, route?: string): void {
  report(request.log, 'info', 'refused', {
    code: codeOf(error),
    route,
    statusCode: error.statusCode,
    origin: request.headers.origin,
    // Unlike the visitor's origin only in the scheme: TLS ends at a proxy, and `trustProxy` is not set.
    ownOrigin: ownOrigin(request),
  }, `WebSocket refused: ${error.message}`)
}
