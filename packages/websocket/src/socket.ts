import type { WebSocket } from 'ws'

/**
 * Where an application says what its `authenticate` returns.
 *
 * @example
 * declare module '@fastkeep/websocket' {
 *   interface WebSocketTypes { peer: { name: string } }
 * }
 */
export interface WebSocketTypes {}

/** What `authenticate` returned for this socket; `undefined` at run time on a route without `authenticate`. */
export type Peer = WebSocketTypes extends { peer: infer P } ? P : unknown

/** The socket that a handler gets: the `WebSocket` of ws, and what this package adds. */
export interface GuardedWebSocket extends WebSocket {
  readonly peer: Peer
  /**
   * From now on this socket gets what is published to the topic, until it unsubscribes or closes.
   * Does nothing on a socket that is no longer open. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID.
   */
  subscribe (topic: string): void
  /** Does nothing if the socket had not subscribed. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID. */
  unsubscribe (topic: string): void
}
