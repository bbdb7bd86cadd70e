// Fastify's factory options of the three servers of a service: plain, TLS, and HTTP/2 over TLS.
import { readFileSync } from 'node:fs'

const { KEEP_ALIVE_TIMEOUT, TLS_FILES } = process.env
const keepAliveTimeout = Number(KEEP_ALIVE_TIMEOUT)
const https = {
  key: readFileSync(`${TLS_FILES}/key.pem`),
  cert: readFileSync(`${TLS_FILES}/cert.pem`),
  // All processes of a service take the tickets of each other.
  ticketKeys: readFileSync(`${TLS_FILES}/tickets`),
  sessionIdContext: 'bench',
}

export const FACTORY_OPTIONS = {
  http: { keepAliveTimeout },
  https: { keepAliveTimeout, https },
  h2: { keepAliveTimeout, https, http2: true },
}
