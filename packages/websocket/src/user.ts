import type { FastifyRequest } from 'fastify'
import type { Peer } from './socket.js'

/** The user of a socket where the application does not say: the peer or its `id`, if that is a name, or whose session it is. */
export function userOf (peer: Peer, request: FastifyRequest): string | undefined {
  const { id } = Object(peer) as { id?: unknown }
  return name(peer) ?? name(id) ?? name(sessionOf(request)?.subject)
}

function name (value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
}

/** What this package asks of a session: @fastkeep/secure-session has it, other plugins may not. */
export interface EndingSession {
  readonly subject?: unknown
  readonly isNew?: unknown
  onEnd? (listener: (reason: string) => void): () => void
}

export function sessionOf (request: FastifyRequest): EndingSession | undefined {
  const { session } = request as { session?: unknown }
  return typeof session === 'object' && session !== null ? session : undefined
}
