import { SendFailed } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'

/** Closes a socket that has more than `maxBufferedBytes` waiting: its peer does not read. */
export function makeRoom (socket: InnerSocket): void {
  const { bufferedAmount, guard } = socket
  if (bufferedAmount > guard.policy.maxBufferedBytes) {
    guard.close(1013, 'too slow', 'FST_KEEP_WEBSOCKET_SLOW_READER', { bufferedAmount })
  }
}

/** Resolves when the message is with the kernel. Rejects with FST_KEEP_WEBSOCKET_SEND_FAILED. */
export function sendAsync (socket: InnerSocket, message: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, error => {
      if (error == null) resolve()
      else reject(new SendFailed({ cause: error }))
    })
  })
}
