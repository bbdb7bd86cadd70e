import type { FastifyRequest } from 'fastify'
import { knownSession } from './known-session.js'
import type { Peer } from './socket.js'

/** The user of a socket where the application does not say: the peer or its `id`, if that is a name, or whose session it is. */
export function userOf (peer: Peer, request: FastifyRequest): string | undefined {
  const { id } = Object(peer) as { id?: unknown }
  return name(peer) ?? name(id) ?? name(knownSession(request)?.subject)
}

function name (value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
}
