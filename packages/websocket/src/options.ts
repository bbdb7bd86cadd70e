import { func, integer, nested, oneOf, optionChecker, type Rule } from '@fastkeep/options'
import type { FastifyRequest } from 'fastify'
import { messagesRule, type MessageDefinitions } from './message-definition.js'
import { checkOriginList, originRule, type OriginOption } from './origin.js'
import { keysRule, type SigningOptions } from './signing-keys.js'
import type { GuardedWebSocket, Peer } from './socket.js'

/**
 * Says who is asking. What it returns becomes `socket.peer`; nothing (`null`, `undefined`, `false`) or an error
 * refuses the handshake with 401. An error with a `statusCode` from 400 to 499 is answered as it is.
 */
export type Authenticate = (request: FastifyRequest) => Authenticated | Promise<Authenticated>
export type Authenticated = Peer | null | undefined | false

/** What becomes of a topic's messages for a socket that has more than `maxBufferedBytes` waiting. */
export type SlowReaderPolicy = 'close' | 'drop-oldest' | 'keep-latest'

export interface TopicsOptions {
  /** Whether this client may subscribe to this topic. Asked for each `keep.subscribe`; only `true` will do. */
  authorize: (socket: GuardedWebSocket, topic: string) => boolean | Promise<boolean>
  /** How many topics one socket may be subscribed to by messages of its client. Default 100. */
  maxPerSocket?: number
}

/** What a route can have otherwise than the plugin; `0` turns a limit off where 0 is accepted. */
export interface WebSocketLimits {
  /** Bytes of the largest message; a larger one closes the socket with 1009. Default 65,536. */
  maxPayload?: number
  /** Bytes that may wait for a slow reader when something is sent to it. Default 1,048,576. */
  maxBufferedBytes?: number
  /** What happens to a slow reader: close it with 1013, or drop what it missed of topics. Default `'close'`. */
  slowReader?: SlowReaderPolicy
  /** Open sockets, in all (plugin) or on this route; one more is refused with 503. Default 20,000; on a route no limit of its own. */
  maxConnections?: number
  /** Open sockets of one address (of IPv6 one /64); one more is refused with 429. Default 256. */
  maxConnectionsPerAddress?: number
  /** Open sockets of one user; one more is refused with 429. Default 32. */
  maxConnectionsPerUser?: number
  /** Messages, pings and pongs of one socket per second, as many at once; more closes it with 1008. Default 100. */
  maxMessagesPerSecond?: number
  /** Bytes of messages of one socket per second, as many at once; more closes it with 1008. Default 1,048,576. */
  maxBytesPerSecond?: number
  /** Messages that may wait for the handler, or be under way in `messages`. Default 16. */
  maxPendingMessages?: number
  /** Time in ms that a handshake may take, `authenticate` included, before its connection is cut. Default 10,000. */
  handshakeTimeout?: number
  /** Time in ms without a message in either direction, after which a socket is closed with 1013. Default 3,600,000. */
  idleTimeout?: number
  /** Time in ms that a socket may stay open; then it is closed with 1013. Default 86,400,000. */
  lifetime?: number
}

/** What a route can have otherwise than the plugin, and what a handshake must show. */
export interface WebSocketGuardOptions extends WebSocketLimits {
  /** Which pages may open a socket. Default `'same-origin'`. */
  origin?: OriginOption
  /** Whether a handshake must have come over TLS (`request.protocol`). Default `false`. */
  requireTls?: boolean
  /** The subprotocols that the route speaks, the preferred first; the first that the client offers is echoed. Default: none is. */
  protocols?: readonly string[]
  /** Time in ms that a peer has to answer a close of ours before its connection is cut. Default 1,500. */
  closeDeadline?: number
  /** Time in ms in which a message with an `id` is answered. Default 10,000. */
  replyTimeout?: number
  /** Signs and verifies each message, see PROTOCOL.md. Default: no. */
  signing?: SigningOptions | false
}

export interface WebSocketPluginOptions extends WebSocketGuardOptions {
  /** Who may open a socket. Default: anyone whose origin is right. */
  authenticate?: Authenticate
  /**
   * The user whom a socket counts for in `maxConnectionsPerUser`; `undefined` for none. Default: the peer if it is a
   * string or a number, or its `id` if that is one, otherwise the session's subject.
   */
  userOf?: (peer: Peer, request: FastifyRequest) => string | undefined
  /** Time in ms between two pings of a socket; one that has not answered by the next is cut. `0`: no pings. Default 30,000. */
  pingInterval?: number
  /** Time in ms over which the closes of a drain are spread, at most; 200 per second at least. Default 2,000. */
  drainWindow?: number
}

/** The route option `websocket`, or `wsOptions` beside `wsHandler`: what is not given is the plugin's. */
export interface WebSocketRouteOptions extends WebSocketGuardOptions {
  /** Who may open a socket on this route; `false` for anyone whose origin is right. */
  authenticate?: Authenticate | false
  /** Lets clients of this route subscribe to topics. Default: only the handler can, by `socket.subscribe()`. */
  topics?: TopicsOptions
  /** What clients of this route may send, by name. Default: what they send goes to the handler's listeners. */
  messages?: MessageDefinitions
}
