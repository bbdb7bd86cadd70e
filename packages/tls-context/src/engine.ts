import { accessSync, constants } from 'node:fs'
import { keptSecrets } from './certificates/kept-secrets.js'
import { tlsContextError } from './errors.js'
import type { ServerContext } from './server-context.js'
import type { TicketPeers, TicketSharing } from './ticket-sharing.js'

/** The part of `@fastkeep/engine` that is used here; it is not needed. */
export interface Engine {
  subscribe (channel: 'graceful' | 'start', listener: () => unknown, options: { priority: number, name: string }): () => void
  addStatus (name: string, read: () => unknown): () => void
  readonly peers: TicketPeers | undefined
}

/** Of an engine, for all contexts of its process. */
const served = new WeakMap<Engine, Set<ServerContext>>()

/**
 * Renews on `graceful`, shares ticket keys with the other workers, tells the status when certificates expire, and stops
 * a start after which none could be renewed.
 *
 * @returns when this process has the ticket keys of the others, and how to end all of it
 */
export function joinEngine (engine: Engine, context: ServerContext): TicketSharing {
  const contexts = served.get(engine) ?? new Set()
  served.set(engine, contexts.add(context))
  const sharing = engine.peers && context.shareTickets(engine.peers)
  const ends = [
    () => { contexts.delete(context) },
    engine.addStatus('certificates', () => [...contexts].flatMap(({ expiries }) => expiries).map(({ name, validTo }) => ({ name, expires: validTo.toISOString() }))),
    engine.subscribe('graceful', () => context.reload(), { priority: 20, name: 'tls-context' }),
    // After privileges were dropped and before the first connection: what cannot be read now cannot be renewed either.
    engine.subscribe('start', () => assertReadable(context), { priority: 78, name: 'tls-context' }),
  ]
  return {
    settled: sharing?.settled ?? Promise.resolve(),
    end: () => {
      sharing?.end()
      for (const end of ends) end()
    },
  }
}

function assertReadable ({ files, isWatched }: ServerContext): void {
  if (!isWatched) return
  for (const path of files) {
    if (keptSecrets()?.file(path) !== undefined) continue
    try {
      accessSync(path, constants.R_OK)
    } catch {
      throw tlsContextError('FILE_NOT_READABLE', `${path} could be read at the start and cannot now that privileges are dropped, so that it could not be renewed. Let a group of this user read it; or have workers, whose supervisor reads it for them (option "secrets"); or set option "watch" to false`)
    }
  }
}
