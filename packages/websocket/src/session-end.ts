import type { FastifyRequest } from 'fastify'
import type { InnerSocket } from './guarded-socket.js'
import { knownSession } from './known-session.js'

/** Not logged in any more: the session that opened the socket has ended. */
const SESSION_ENDED = 4401

/** A socket does not outlive the session of its handshake. */
export function closeWithSession (socket: InnerSocket, request: FastifyRequest): void {
  const forget = knownSession(request)?.onEnd?.(reason => {
    socket.guard.close(SESSION_ENDED, 'session ended', 'FST_KEEP_WEBSOCKET_SESSION_ENDED', { reason }, 'info')
  })
  if (forget !== undefined) socket.once('close', forget)
}
