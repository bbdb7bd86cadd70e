import type { LoadOptions } from '../load-options.js'

/** The head of a request, and the little body of a POST. */
export function requestHead ({ kind, method = 'GET', path = '/', host, port }: LoadOptions): string {
  const body = method === 'POST' ? '{"a":1}' : ''
  const entity = method === 'POST' ? `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` : ''
  const persistence = kind === 'close' || kind === 'tls-resumption' ? 'Connection: close\r\n' : ''
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${entity}${persistence}\r\n${body}`
}
