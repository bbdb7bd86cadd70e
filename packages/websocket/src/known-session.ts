import type { FastifyRequest } from 'fastify'

/** What this package asks of a session: @fastkeep/secure-session has it, other plugins may not. */
export interface KnownSession {
  readonly subject?: unknown
  readonly isNew?: unknown
  onEnd? (listener: (reason: string) => void): () => void
}

/** The session that the request came with; `undefined` for one that is new with it, or that a lazy route has not loaded. */
export function knownSession (request: FastifyRequest): KnownSession | undefined {
  const { session } = request as { session?: unknown }
  if (typeof session !== 'object' || session === null) return undefined
  try {
    return (session as KnownSession).isNew === true ? undefined : session
  } catch {
    // Not loaded: neither authentication nor any hook depends on it.
    return undefined
  }
}
