import type { WebSocket } from 'ws'

export interface BackpressureOptions {
  /** Bytes that may wait to be sent when something is sent. */
  maxBufferedBytes: number
  /** More than that is waiting: the peer is not reading. Closes the socket. */
  onSlowReader: () => void
}

/** Bounds what waits for a peer, by taking the place of the socket's `send`: one message beyond `maxBufferedBytes` at most. */
export function boundBuffer (socket: WebSocket, { maxBufferedBytes, onSlowReader }: BackpressureOptions): void {
  const send = socket.send
  socket.send = (...args: unknown[]): void => {
    if (socket.readyState === socket.OPEN && socket.bufferedAmount > maxBufferedBytes) onSlowReader()
    // On a socket that is no longer open, ws sends nothing and tells the callback so.
    Reflect.apply(send, socket, args)
  }
}
