import type { ServerOptions as HttpServerOptions } from 'node:http'
import type { ServerOptions as HttpsServerOptions } from 'node:https'

/** Options of Fastify's factory, to be spread into it. */
export interface ServerOptions<Https = undefined> {
  /** ms without any traffic after which a connection is closed. */
  readonly connectionTimeout: number
  /** ms within which a request must have arrived whole, body included. */
  readonly requestTimeout: number
  /** ms for which an idle connection stays open. */
  readonly keepAliveTimeout: number
  /** Bytes of the largest body. */
  readonly bodyLimit: number
  readonly http?: HttpServerOptions
  readonly https: Https extends undefined ? null : Https & HttpsServerOptions
}

const HEADERS_TIMEOUT = 20_000
const MAX_HEADER_SIZE = 16_384

/**
 * Limits for `Fastify({ ...serverOptions() })` against peers that are slow or greedy:
 *
 * - headers whole within 20 s and 16,384 bytes, the request within 120 s (Fastify's default is no limit)
 * - bodies of 1 MiB at most, idle connections open for 72 s, silent ones for 140 s
 *
 * Fastify takes the limits of headers in another place for HTTPS: give the TLS options here, and spread the outcome.
 *
 * @param tls what `https` of Fastify takes, e.g. the `options` of a TLS context
 * @example Fastify({ ...serverOptions(createServerContext({ cert, key }).options), logger: true })
 * @see https://nodejs.org/api/http.html#serverheaderstimeout
 */
export function serverOptions (): ServerOptions
export function serverOptions<Https extends object> (tls: Https): ServerOptions<Https>
export function serverOptions (tls?: object): ServerOptions | ServerOptions<object> {
  const limits = { headersTimeout: HEADERS_TIMEOUT, maxHeaderSize: MAX_HEADER_SIZE }
  const common = { connectionTimeout: 140_000, requestTimeout: 120_000, keepAliveTimeout: 72_000, bodyLimit: 1_048_576 }
  return tls === undefined ? { ...common, http: limits, https: null } : { ...common, https: { ...tls, ...limits } }
}
