import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { nested, oneOf, string, type Rule } from '@fastkeep/options'
import { httpsOrigin, type RedirectTarget } from './redirect.js'

/**
 * What a client gets that speaks HTTP without TLS: `'refuse'`, a 400 that says so; `'redirect'`, a 308 to a name of the
 * certificate; `{ redirect }`, one to an origin such as `https://example.org`; `false`, a closed connection.
 */
export type PlainHttp = 'refuse' | 'redirect' | { readonly redirect: string } | false

export const plainHttpText = 'The client sent a plain HTTP request, but this server only speaks HTTPS on this port.'

export function plainHttpRule (plainHttp: unknown): Rule {
  if (typeof plainHttp === 'object') return nested({ redirect: string('an origin such as "https://example.org", without a path', httpsOrigin) })
  return oneOf(['refuse', 'redirect', false])
}

const maxHead = 16_384

/**
 * Costs nothing until a handshake fails: OpenSSL recognizes GET, HEAD, POST and PUT.
 *
 * @param timeout ms after which the connection is cut, whatever the client does
 */
export function refusePlainHttp (server: Server, timeout: number): () => void {
  const onError = (error: NodeJS.ErrnoException, socket: TLSSocket): void => {
    // Nobody can write through the TLS socket to a client that has no TLS.
    const { _parent: plain } = socket as TLSSocket & { _parent?: Socket }
    if (error.code !== 'ERR_SSL_HTTP_REQUEST' || plain === undefined) return
    endWithin(timeout, plain)
    answer(plain, '400 Bad Request', plainHttpText)
  }
  // Before the servers of HTTP, whose own answer would go through TLS.
  server.prependListener('tlsClientError', onError)
  return () => { server.off('tlsClientError', onError) }
}

/**
 * Looks at the first byte of each connection before TLS gets it.
 *
 * @param timeout ms in which it has to come, and then all else that is not TLS
 */
export function redirectPlainHttp (server: Server, target: RedirectTarget, timeout: number): () => void {
  // The one that Node's own constructor adds; later ones are others' and stay where they are.
  const [toTls] = server.listeners('connection')
  if (toTls === undefined) return () => {}
  const gate = (socket: Socket): void => {
    const onTimeout = (): void => { socket.destroy() }
    const ignore = (): void => {}
    socket.setTimeout(timeout, onTimeout)
    socket.on('error', ignore)
    socket.once('readable', () => {
      socket.setTimeout(0).off('timeout', onTimeout)
      const first = socket.read() as Buffer | null
      if (first === null) return socket.destroy()
      socket.unshift(first)
      if (isUpperCaseLetter(first[0])) return redirect(socket, target, timeout)
      socket.off('error', ignore)
      toTls.call(server, socket)
    })
  }
  server.off('connection', toTls as () => void)
  server.prependListener('connection', gate)
  return () => {
    server.off('connection', gate)
    server.prependListener('connection', toTls as () => void)
  }
}

/** Every method of HTTP begins with one, and no record of TLS. */
function isUpperCaseLetter (octet: number | undefined): boolean {
  return octet !== undefined && octet >= 0x41 && octet <= 0x5a
}

function redirect (socket: Socket, target: RedirectTarget, timeout: number): void {
  endWithin(timeout, socket)
  let head = ''
  const onReadable = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) head += chunk.toString('latin1')
    if (head.startsWith('PRI * HTTP/2.0')) {
      socket.off('readable', onReadable)
      redirectHttp2(socket, head, target)
    } else if (head.includes('\r\n\r\n')) {
      socket.off('readable', onReadable)
      answerHead(socket, head, target)
    } else if (head.length > maxHead) {
      answer(socket, '431 Request Header Fields Too Large', 'The head of the request is too large.')
    }
  }
  socket.on('readable', onReadable)
  onReadable()
}

function answerHead (socket: Socket, head: string, target: RedirectTarget): void {
  const [, path = ''] = /^[A-Z]+ (\S+) HTTP\/1\.[01]\r\n/.exec(head) ?? []
  const hosts = [...head.matchAll(/^host:[ \t]*([^\r\n]*?)[ \t]*\r?$/gim)]
  const location = path === '' ? undefined : target(hosts.length === 1 ? hosts[0]?.[1] : undefined, path)
  if (location === undefined) answer(socket, '400 Bad Request', plainHttpText)
  else answer(socket, '308 Permanent Redirect', `This server only speaks HTTPS on this port: ${location}`, `Location: ${location}\r\n`)
}

/** For a client that knows that it is HTTP/2 and not that it is TLS (RFC 9113 section 3.3). */
function redirectHttp2 (socket: Socket, head: string, target: RedirectTarget): void {
  socket.unshift(Buffer.from(head, 'latin1'))
  const session: ServerHttp2Session = performServerHandshake(socket)
  session.on('error', () => socket.destroy())
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    const location = target(headers[':authority'], headers[':path'] ?? '/')
    stream.respond(location === undefined ? { ':status': 400, 'content-type': 'text/plain' } : { ':status': 308, location })
    stream.end(location === undefined ? plainHttpText : '')
    session.close()
  })
}

/** Whoever sends byte by byte, or does not close his end, is not waited for. */
function endWithin (timeout: number, socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), timeout).unref()
  socket.once('close', () => clearTimeout(timer))
}

function answer (socket: Socket, status: string, text: string, headers = ''): void {
  if (socket.destroyed) return
  socket.on('error', () => {})
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text) + 1}\r\nConnection: close\r\n${headers}\r\n${text}\n`)
}
