import type { FastifyRequest } from 'fastify'
import type { InnerSocket } from './guarded-socket.js'
import { sessionOf } from './user.js'

/** Not logged in any more: the session that opened the socket has ended. */
const SESSION_ENDED = 4401

/** A socket does not outlive the session of its handshake. A session that is new with it was never kept, so it cannot end. */
export function closeWithSession (socket: InnerSocket, request: FastifyRequest): void {
  const session = sessionOf(request)
  if (session?.onEnd === undefined || session.isNew === true) return
  const forget = session.onEnd(reason => {
    socket.guard.close(SESSION_ENDED, 'session ended', 'FST_KEEP_WEBSOCKET_SESSION_ENDED', { reason }, 'info')
  })
  socket.once('close', forget)
}
