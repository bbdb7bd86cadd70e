import type { WebSocket } from 'ws'

/** Sends a close frame and cuts the connection if the peer has not answered it after `deadline` ms. */
export function closeWithin (socket: WebSocket, code: number, reason: string, deadline: number): void {
  socket.close(code, reason)
  terminateWithin(socket, deadline)
}

/** Cuts the connection if it is still there after `deadline` ms; ws itself waits 30 s for a silent peer. */
export function terminateWithin (socket: WebSocket, deadline: number): void {
  if (socket.readyState === socket.CLOSED) return
  const timer = setTimeout(() => socket.terminate(), deadline).unref()
  socket.once('close', () => clearTimeout(timer))
}
