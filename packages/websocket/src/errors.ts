import createError from '@fastify/error'

/** 403: the page that opened the socket is from another origin, or the client named none and nothing authenticates it. */
export const OriginRefused = createError<[string]>('FST_KEEP_WEBSOCKET_ORIGIN_REFUSED', '%s', 403)

/** 401: `authenticate` returned nothing, or threw. */
export const NotAuthenticated = createError('FST_KEEP_WEBSOCKET_NOT_AUTHENTICATED', 'not authenticated', 401)

/** 426: RFC 6455 knows version 13 only; the answer carries `Sec-WebSocket-Version: 13`. */
export const VersionUnsupported = createError('FST_KEEP_WEBSOCKET_VERSION_UNSUPPORTED', 'Sec-WebSocket-Version must be 13', 426)

/** 400: the handshake breaks RFC 6455, 4.2.1. */
export const HandshakeMalformed = createError<[string]>('FST_KEEP_WEBSOCKET_HANDSHAKE_MALFORMED', '%s', 400)

/** 404: an upgrade was asked of a route that serves HTTP only. */
export const NoWebSocketHere = createError('FST_KEEP_WEBSOCKET_NOT_HERE', 'this route takes no WebSocket', 404)

/** 503: the drain has begun. */
export const ShuttingDown = createError('FST_KEEP_WEBSOCKET_SHUTTING_DOWN', 'server is shutting down', 503)

/** A topic name that is empty, too long, or has a wildcard in it. */
export const TopicInvalid = createError<[string]>('FST_KEEP_WEBSOCKET_TOPIC_INVALID',
  'a topic is a string of 1 to 256 characters without "*", "#" and "+", got %s', 500, TypeError)

/** What was published is no string, no bytes, and nothing that JSON can carry. */
export const MessageInvalid = createError<[string]>('FST_KEEP_WEBSOCKET_MESSAGE_INVALID',
  'a message is a string (sent as text), a Uint8Array (sent as binary) or what JSON can carry, got %s', 500, TypeError)

/** `wsOptions` stand on a route that has no WebSocket handler. */
export const RouteOptionsMisplaced = createError<[string]>('FST_KEEP_WEBSOCKET_ROUTE_OPTIONS_MISPLACED',
  'websocket: route %s has "wsOptions" but neither "websocket: true" nor a "wsHandler"', 500, TypeError)

/** A client may not subscribe to this topic. */
export const TopicRefused = createError('FST_KEEP_WEBSOCKET_TOPIC_REFUSED', 'this topic is not open to you', 403)

/** A client has as many topics as one socket may have. */
export const TopicLimit = createError<[number]>('FST_KEEP_WEBSOCKET_TOPIC_LIMIT', 'a socket may subscribe to %d topics', 429)

/** `sendAsync` on a socket that is not open, or that closed before there was room. */
export const SendFailed = createError('FST_KEEP_WEBSOCKET_SEND_FAILED', 'the socket was closed before the message was sent', 500)
