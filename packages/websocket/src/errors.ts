import createError from '@fastify/error'

/** 403: the page that opened the socket is from another origin, or the client named none and nothing authenticates it. */
export const OriginRefused = createError<[string]>('FST_KEEP_WEBSOCKET_ORIGIN_REFUSED', '%s', 403)

/** 403: the route has `requireTls`. */
export const TlsRequired = createError('FST_KEEP_WEBSOCKET_TLS_REQUIRED', 'this route takes WebSockets over TLS (wss:) only', 403)

/** 401: `authenticate` returned nothing, or threw. */
export const NotAuthenticated = createError('FST_KEEP_WEBSOCKET_NOT_AUTHENTICATED', 'not authenticated', 401)

/** 426: RFC 6455 knows version 13 only; the answer carries `Sec-WebSocket-Version: 13`. */
export const VersionUnsupported = createError('FST_KEEP_WEBSOCKET_VERSION_UNSUPPORTED', 'Sec-WebSocket-Version must be 13', 426)

/** 400: the handshake breaks RFC 6455, 4.2.1. */
export const HandshakeMalformed = createError<[string]>('FST_KEEP_WEBSOCKET_HANDSHAKE_MALFORMED', '%s', 400)

/** 404: an upgrade was asked of a route that serves HTTP only. */
export const NoWebSocketHere = createError('FST_KEEP_WEBSOCKET_NOT_HERE', 'this route takes no WebSocket', 404)

/** 503: `maxConnections` are open, on the route or in all. */
export const TooManyConnections = createError('FST_KEEP_WEBSOCKET_CONNECTION_LIMIT', 'too many WebSockets are open', 503)

/** 429: `maxConnectionsPerAddress` are open. */
export const TooManyFromAddress = createError('FST_KEEP_WEBSOCKET_ADDRESS_LIMIT', 'too many WebSockets are open from this address', 429)

/** 429: `maxConnectionsPerUser` are open. */
export const TooManyOfUser = createError('FST_KEEP_WEBSOCKET_USER_LIMIT', 'this user has too many WebSockets open', 429)

/** 503: the drain has begun. */
export const ShuttingDown = createError('FST_KEEP_WEBSOCKET_SHUTTING_DOWN', 'server is shutting down', 503)

/** s after which a client that was refused for want of room may come again, for the header `Retry-After`. */
export const RETRY_AFTER: Readonly<Record<string, number>> = {
  FST_KEEP_WEBSOCKET_SHUTTING_DOWN: 2,
  FST_KEEP_WEBSOCKET_CONNECTION_LIMIT: 5,
  FST_KEEP_WEBSOCKET_ADDRESS_LIMIT: 30,
  FST_KEEP_WEBSOCKET_USER_LIMIT: 30,
}

/** What was published is no string, no bytes, and nothing that JSON can carry. */
export const MessageInvalid = createError<[string]>('FST_KEEP_WEBSOCKET_MESSAGE_INVALID',
  'a message is a string (sent as text), a Uint8Array (sent as binary) or what JSON can carry, got %s', 500, TypeError)

/** A message of a type that the route has not registered. */
export const MessageUnknown = createError<[string]>('FST_KEEP_WEBSOCKET_MESSAGE_UNKNOWN', 'there is no message %s here', 404)

/** The `data` of a message is not what its schema asks for. */
export const MessageRefused = createError<[string]>('FST_KEEP_WEBSOCKET_MESSAGE_REFUSED', '%s', 400)

/** The handler of a message was not done within `replyTimeout`. */
export const MessageTimeout = createError<[number]>('FST_KEEP_WEBSOCKET_MESSAGE_TIMEOUT', 'not done within %d ms', 503)

/** What a client is told of an error that is not its own. */
export const MessageFailed = createError('FST_KEEP_WEBSOCKET_MESSAGE_FAILED', 'internal error', 500)

/** A client may not subscribe to this topic. */
export const TopicRefused = createError('FST_KEEP_WEBSOCKET_TOPIC_REFUSED', 'this topic is not open to you', 403)

/** A client has as many topics as one socket may have. */
export const TopicLimit = createError<[number]>('FST_KEEP_WEBSOCKET_TOPIC_LIMIT', 'a socket may subscribe to %d topics', 429)

/** A topic name that is empty, too long, or has a wildcard in it. */
export const TopicInvalid = createError<[string]>('FST_KEEP_WEBSOCKET_TOPIC_INVALID',
  'a topic is a string of 1 to 256 characters without "*", "#" and "+", got %s', 400, TypeError)

/** The `key` of a publication that is empty, too long, or no string. */
export const KeyInvalid = createError<[string]>('FST_KEEP_WEBSOCKET_KEY_INVALID', 'a key is a string of 1 to 256 characters, got %s', 500, TypeError)

/** `sendAsync` on a socket that is not open, or that closed before there was room. */
export const SendFailed = createError('FST_KEEP_WEBSOCKET_SEND_FAILED', 'the socket was closed before the message was sent', 500)

/** Route options stand where there is no WebSocket handler that they could be for. */
export const RouteOptionsMisplaced = createError<[string, string]>('FST_KEEP_WEBSOCKET_ROUTE_OPTIONS_MISPLACED',
  'websocket: route %s %s', 500, TypeError)

/** A schema under `messages` that the validator or the serializer of the instance refuses. */
export const MessageSchemaInvalid = createError<[string, string, string]>('FST_KEEP_WEBSOCKET_MESSAGE_SCHEMA_INVALID',
  'websocket: route %s, message "%s": %s', 500, TypeError)

/** `describe()` was asked for a route that takes no WebSocket. */
export const RouteUnknown = createError<[string, string]>('FST_KEEP_WEBSOCKET_ROUTE_UNKNOWN',
  'there is no WebSocket route %s; there are: %s', 500, TypeError)

/** The plugin was registered twice in one scope. */
export const RegisteredTwice = createError('FST_KEEP_WEBSOCKET_REGISTERED_TWICE',
  'websocket: registered twice in one scope; register it again in a scope below to change its options there', 500)
