/** What the client throws, rejects with and gives to its `error` listeners. */
export interface WebSocketClientError extends Error {
  /**
   * `FST_KEEP_WEBSOCKET_CLIENT_...` for what happened here:
   * - `TIMEOUT`: no answer within the deadline. The server may have done what it was asked to, or not.
   * - `CONNECTION_LOST`: the connection ended before the answer came. The same holds.
   * - `CLOSED`: the client has been closed, or has given up.
   * - `QUEUE_FULL`: more was sent than may wait for a connection.
   * - `UNSUPPORTED`: no WebSocket (Node 20 has none), or no WebCrypto (a page that came over plain HTTP has none).
   *
   * Any other code is the server's own.
   */
  readonly code: string
  /** The topic, where a subscription was refused. */
  readonly topic?: string
}

type LocalCode = 'TIMEOUT' | 'CONNECTION_LOST' | 'CLOSED' | 'QUEUE_FULL' | 'UNSUPPORTED'

export function localError (code: LocalCode, message: string): WebSocketClientError {
  return codedError(`FST_KEEP_WEBSOCKET_CLIENT_${code}`, message)
}

export function codedError (code: string, message: string): WebSocketClientError {
  return Object.assign(new Error(message), { code })
}
