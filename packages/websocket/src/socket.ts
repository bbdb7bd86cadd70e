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
  /** How long (ms) the last ping took to be answered; `undefined` before the first answer. */
  readonly latency: number | undefined
  /**
   * From now on this socket gets what is published to the topic, until it unsubscribes or closes.
   * Does nothing on a socket that is no longer open. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID.
   */
  subscribe (topic: string): void
  /** Does nothing if the socket had not subscribed. Throws FST_KEEP_WEBSOCKET_TOPIC_INVALID. */
  unsubscribe (topic: string): void
  /**
   * Sends a message, a string as text, bytes as binary, and resolves when there is room for the next: less than
   * `maxBufferedBytes` waits for the peer. For who sends much: `for (const row of rows) await socket.sendAsync(row)`.
   * Rejects with FST_KEEP_WEBSOCKET_SEND_FAILED when the socket is closed before that.
   */
  sendAsync (message: string | Uint8Array): Promise<void>
}
