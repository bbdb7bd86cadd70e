import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest, type Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { peerCertificateOf, type PeerCertificate } from './peer/peer-certificate.js'
import { pskIdentityOf } from './psk.js'

/** What the handshake of a connection agreed on. */
export interface TlsConnection {
  /** Such as `TLSv1.3`. */
  readonly protocol: string
  /** The suite's name in IANA's registry, such as `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string
  /** The key exchange group, such as `X25519MLKEM768`; `null` where Node does not tell a server. */
  readonly group: string | null
  /** The name that the client asked for (SNI, RFC 6066); `null` where it named none, or TLS 1.2 was resumed. */
  readonly servername: string | null
  /** Such as `h2` or `http/1.1` (RFC 7301); `null` where none was agreed on. */
  readonly alpn: string | null
  /** An earlier session was resumed: no certificate was sent. */
  readonly resumed: boolean
  /** The client's certificate, of a resumed session the one that it began with; `null` where it showed none. */
  readonly peer: PeerCertificate | null
  /** Which pre-shared key the client has; `null` where it has none. */
  readonly pskIdentity: string | null
}

const connections = new WeakMap<object, TlsConnection>()

/** The same object for all requests of a connection; `null` over plain HTTP, or when first asked after its end. */
export function tlsConnectionOf (request: IncomingMessage | Http2ServerRequest): TlsConnection | null {
  if (!(request instanceof Http2ServerRequest)) return tlsConnectionOn(request.socket, request.socket)

  // Each HTTP/2 request has a socket proxy of its own; only the session is common to a connection. A stream loses its
  // session when it ends, and an answer once given must not turn into null while a handler still runs.
  const { stream } = request
  const connection = stream.session === undefined
    ? connections.get(stream)
    : tlsConnectionOn(stream.session, request.socket)
  if (connection) connections.set(stream, connection)
  return connection ?? null
}

function tlsConnectionOn (transport: Socket | Http2Session, socket: Socket): TlsConnection | null {
  const known = connections.get(transport)
  if (known !== undefined) return known
  // `encrypted` is Node's own mark: the proxies of HTTP/2 are no instances of TLSSocket.
  if (!(socket as Partial<TLSSocket>).encrypted) return null
  const connection = describe(socket as TLSSocket)
  if (connection !== null) connections.set(transport, connection)
  return connection
}

function describe (socket: TLSSocket): TlsConnection | null {
  // A connection that has ended tells nothing any more.
  const protocol = socket.getProtocol()
  if (protocol === null) return null
  const pskIdentity = pskIdentityOf(socket) ?? null
  const keyExchange = socket.getEphemeralKeyInfo() as { name?: string } | null
  return Object.freeze({
    protocol,
    cipher: socket.getCipher().standardName,
    group: keyExchange?.name ?? null,
    servername: (socket as { servername?: string | false }).servername || null,
    alpn: socket.alpnProtocol || null,
    // OpenSSL calls a connection by a pre-shared key over TLS 1.3 a resumed one; those are never.
    resumed: pskIdentity === null && socket.isSessionReused(),
    peer: peerCertificateOf(socket),
    pskIdentity,
  })
}
