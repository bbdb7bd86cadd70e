import type { LoadOptions } from '../load/client.js'
import type { Site } from './service.js'

/** ms; the longest pause of clients that think. */
export const THINK = 4_000

/** ms of the longest requests. */
const LONG = 8_000

/**
 * All loads of a run, by name, as they go on at once.
 *
 * @param pace ms: the longest pause of clients that think, and the longest requests
 */
export function loads ({ ports }: Site, ca: string, { think = THINK, long = LONG } = {}): Record<string, LoadOptions> {
  const host = '127.0.0.1'
  const plain = { host, port: ports.http }
  const secure = { host, port: ports.https, ca }
  return {
    'fresh connections': { ...plain, kind: 'close', connections: 4, think: 20 },
    'keep-alive, flat out': { ...plain, kind: 'keep-alive', connections: 4 },
    'keep-alive, think time': { ...plain, kind: 'think', connections: 60, think },
    'TLS, resumed': { ...secure, kind: 'tls-resumption', connections: 4, think: 50 },
    'TLS, keep-alive': { ...secure, kind: 'think', connections: 10, think: 200 },
    'HTTP/2': { host, port: ports.h2, ca, kind: 'http2', connections: 4, think: 20 },
    'slow, 300 ms': { ...plain, kind: 'keep-alive', connections: 8, path: '/slow?ms=300' },
    [`slow, ${long / 1000} s`]: { ...plain, kind: 'keep-alive', connections: 4, path: `/slow?ms=${long}`, timeout: 20_000 },
    downloads: { ...plain, kind: 'download', connections: 3 },
    uploads: { ...plain, kind: 'upload', connections: 3 },
    WebSockets: { ...plain, kind: 'websocket', connections: 10, think: 200 },
  }
}
