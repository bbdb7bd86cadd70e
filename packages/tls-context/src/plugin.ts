import type { FastifyInstance, FastifyRequest } from 'fastify'
import { tlsConnectionOf, type TlsConnection } from './connection.js'
import { checkOptions } from './errors.js'

/** There are none yet; any key is refused. */
export type TlsContextOptions = Record<never, never>

declare module 'fastify' {
  interface FastifyRequest {
    /** What the TLS handshake of this request's connection agreed on; `null` over plain HTTP. */
    readonly tls: TlsConnection | null
  }
}

/**
 * Decorates `request.tls`.
 *
 * Throws `FST_KEEP_TLS_CONTEXT_OPTION_UNKNOWN` for any option.
 *
 * @example
 * await app.register(tlsContext)
 * app.get('/', request => request.tls?.protocol ?? 'plain HTTP')
 */
export async function plugin (fastify: FastifyInstance, options: TlsContextOptions): Promise<void> {
  checkOptions(options, {})
  fastify.decorateRequest('tls', {
    getter (this: FastifyRequest) {
      return tlsConnectionOf(this.raw)
    },
  })
}
