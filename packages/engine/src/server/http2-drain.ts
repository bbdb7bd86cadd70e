import type { ServerHttp2Session, ServerHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { Server as NetServer } from 'node:net'
import type { CutRequest } from './http1-drain.js'

/**
 * Ends the HTTP/2 sessions of a server: GOAWAY first (RFC 9113, section 6.8), so that what is under way is finished and
 * nothing new is begun, then, when told, by force.
 */
export class Http2Drain {
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #streams = new Map<ServerHttp2Stream, { request: string, start: number }>()
  #isDraining = false

  constructor (server: NetServer) {
    server.on('session', (session: ServerHttp2Session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
      if (this.#isDraining) session.close()
    })
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders & { ':method'?: string, ':path'?: string }) => {
      this.#streams.set(stream, { request: `${headers[':method'] ?? ''} ${headers[':path'] ?? ''}`, start: performance.now() })
      stream.once('close', () => this.#streams.delete(stream))
    })
  }

  begin (): void {
    this.#isDraining = true
    for (const session of this.#sessions) session.close()
  }

  /** Ends all sessions and tells which requests that cut. */
  cut (): CutRequest[] {
    const requests = [...this.#streams.values()]
    for (const session of this.#sessions) session.destroy()
    return requests.map(({ request, start }) => ({ request, age: Math.round(performance.now() - start) }))
  }
}
