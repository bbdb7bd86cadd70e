import type { SecureContext, SecureVersion, TLSSocket } from 'node:tls'
import type { PskCallback } from './psk.js'

/** What `Fastify({ https })`, `https.createServer`, `http2.createSecureServer` and `tls.createServer` take alike. */
export interface TlsServerOptions {
  cert?: string[]
  key?: Array<{ pem: string, passphrase?: string }>
  ca?: string[]
  crl?: string[]
  minVersion: SecureVersion
  maxVersion: SecureVersion
  /** Cipher suites of TLS 1.3 and 1.2, separated by colons. */
  ciphers: string
  /** Key exchange groups, separated by colons. */
  ecdhCurve: string
  sigalgs?: string
  dhparam?: string
  honorCipherOrder: boolean
  secureOptions: number
  /** In ms. */
  handshakeTimeout: number
  sessionIdContext: string
  /** In s. */
  sessionTimeout?: number
  ticketKeys?: Buffer
  requestCert?: boolean
  rejectUnauthorized?: boolean
  SNICallback?: (servername: string, callback: (error: Error | null, context?: SecureContext) => void) => void
  ALPNCallback?: (this: TLSSocket, offer: { servername: string, protocols: string[] }) => string | undefined
  pskCallback?: PskCallback
  pskIdentityHint?: string
}
