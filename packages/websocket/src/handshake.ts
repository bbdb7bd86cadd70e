import type { FastifyReply, FastifyRequest, preParsingAsyncHookHandler, preParsingHookHandler } from 'fastify'
import { HandshakeMalformed, NotAuthenticated, NoWebSocketHere, OriginRefused, ShuttingDown, VersionUnsupported } from './errors.js'
import type { Authenticate } from './options.js'
import { originTest, ownOrigin, type OriginFunction, type OriginOption } from './origin.js'
import { report } from './report.js'
import type { Peer } from './socket.js'

export interface HandshakeRules {
  origin: OriginOption
  authenticate?: Authenticate | undefined
  /** Whether new sockets are refused because the server is going away. */
  isDraining: () => boolean
  /** Told who has passed. */
  admit: (request: FastifyRequest, peer: Peer) => void
}

/**
 * The guard of one WebSocket route. It lets HTTP requests by, and throws for an upgrade that it refuses, so that
 * Fastify answers like to any other request, with the headers that other plugins have set.
 *
 * A preParsing hook: after every onRequest hook (security headers, cookies and sessions are there, whatever the order
 * of registration), before validation and handlers.
 */
export function handshakeGuard (rules: HandshakeRules): preParsingAsyncHookHandler {
  const isRightOrigin = originTest(rules.origin)

  return async function guardHandshake (request, reply) {
    if (!request.ws) return
    try {
      if (rules.isDraining()) throw new ShuttingDown()
      checkHandshakeHeaders(request, reply)
      await checkOrigin(request, isRightOrigin, rules.authenticate !== undefined)
      rules.admit(request, rules.authenticate === undefined ? undefined : await authenticated(request, rules.authenticate))
    } catch (error) {
      reportRefusal(request, error as Error)
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
function checkHandshakeHeaders ({ headers }: FastifyRequest, reply: FastifyReply): void {
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw new HandshakeMalformed('Upgrade must be "websocket"')
  // `injectWS` gives it as a number.
  if (String(headers['sec-websocket-version']) !== '13') {
    reply.headers({ 'sec-websocket-version': '13', upgrade: 'websocket', connection: 'close, upgrade' })
    throw new VersionUnsupported()
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new HandshakeMalformed('Sec-WebSocket-Key must be 16 bytes in base64')
  }
}

async function checkOrigin (request: FastifyRequest, isRightOrigin: OriginFunction, authenticates: boolean): Promise<void> {
  const { origin } = request.headers
  if (origin === undefined) {
    // Every browser sends one: this is another client, which nothing but `authenticate` can tell from a stranger.
    if (authenticates) return
    throw new OriginRefused('a client without Origin is refused where nothing authenticates it')
  }
  // Only `true` will do: a function that returns something else has not decided.
  if (await isRightOrigin(origin, request) !== true) {
    throw new OriginRefused(`Origin ${JSON.stringify(origin.slice(0, 200))} is refused`)
  }
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

function reportRefusal (request: FastifyRequest, error: Error & { code?: unknown, statusCode?: unknown }): void {
  const { code, statusCode } = error
  report(request.log, 'info', 'refused', {
    code: typeof code === 'string' ? code : 'FST_KEEP_WEBSOCKET_REFUSED',
    statusCode,
    origin: request.headers.origin,
    // Unlike the visitor's origin only in the scheme: TLS ends at a proxy, and `trustProxy` is not set.
    ownOrigin: ownOrigin(request),
  }, `WebSocket refused: ${error.message}`)
}
