import { X509Certificate } from 'node:crypto'
import { createSecureContext, connect, type ConnectionOptions, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { isIPv6 } from 'node:net'
import { itemOf, itemsOf, readDer } from '../certificates/der-read.js'
import type { Target } from './probe.js'

/** What is seen over a whole connection of Node's own. */
export interface Observation {
  readonly protocol: string
  /** In the order of the chain, as far as the server sent it. */
  readonly chain: readonly X509Certificate[]
  readonly hasTicket: boolean
  /** In s. */
  readonly ticketLifetime: number | undefined
  readonly hasStaple: boolean
  /** The header's value; `null` where it is not sent, `undefined` where no answer of HTTP came. */
  readonly strictTransportSecurity: string | null | undefined
}

const signatureAlgorithms = {
  EC: 'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448',
  RSA: 'rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512:rsa_pkcs1_sha1',
}

const maxHead = 65_536

/** `undefined` where Node's OpenSSL cannot speak with the server, which says nothing against it. */
export function observe ({ host, port, servername, timeout }: Target, keyKind?: keyof typeof signatureAlgorithms): Promise<Observation | undefined> {
  // Everything that this OpenSSL has, since nothing secret is sent; its trust is not asked.
  const secureContext = createSecureContext({ minVersion: 'TLSv1', ciphers: 'ALL:COMPLEMENTOFALL:@SECLEVEL=0', ca: [], ...keyKind !== undefined && { sigalgs: signatureAlgorithms[keyKind] } })
  const options = { host, port, secureContext, rejectUnauthorized: false, checkServerIdentity: () => undefined, requestOCSP: true, ALPNProtocols: ['http/1.1'], ...servername !== undefined && { servername } } as ConnectionOptions
  return new Promise(resolve => {
    const socket = connect(options)
    let [hasStaple, response] = [false, '']
    let session: Buffer | undefined
    let result: Observation | undefined
    const end = (): void => {
      if (result !== undefined) result = { ...result, hasStaple, hasTicket: session !== undefined, ticketLifetime: session && ticketLifetimeOf(session), strictTransportSecurity: headerOf(response) }
      resolve(result)
      socket.destroy()
    }
    socket.setTimeout(timeout, end)
    socket.on('OCSPResponse', (staple: Buffer | null) => { hasStaple = staple !== null && staple.length > 0 })
    socket.on('session', (given: Buffer) => { session = given })
    socket.on('secureConnect', () => {
      result = { protocol: socket.getProtocol() ?? 'unknown', chain: chainOf(socket), hasTicket: false, ticketLifetime: undefined, hasStaple, strictTransportSecurity: undefined }
      if (keyKind !== undefined) return end()
      socket.write(`GET / HTTP/1.1\r\nHost: ${servername ?? (isIPv6(host) ? `[${host}]` : host)}${port === 443 ? '' : `:${port}`}\r\nUser-Agent: fastkeep-grade\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (chunk: Buffer) => {
      response += chunk.toString('latin1')
      if (response.includes('\r\n\r\n') || response.length > maxHead) end()
    })
    socket.on('error', end)
    socket.on('close', end)
  })
}

function chainOf (socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = []
  let current: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  for (const seen = new Set<string>(); current?.raw !== undefined && !seen.has(current.fingerprint256); current = current.issuerCertificate) {
    seen.add(current.fingerprint256)
    chain.push(new X509Certificate(current.raw))
  }
  return chain
}

function headerOf (response: string): string | null | undefined {
  if (!/^HTTP\/1\.[01] \d{3}/.test(response)) return undefined
  const [head = ''] = response.split('\r\n\r\n')
  // Of several, clients take the first (RFC 6797 section 8.1).
  return /^strict-transport-security:[ \t]*(.*?)[ \t]*\r?$/im.exec(head)?.[1] ?? null
}

/** The hint in what OpenSSL makes of a session: `[9]` of its SSL_SESSION. */
function ticketLifetimeOf (session: Buffer): number | undefined {
  try {
    const hint = itemsOf(readDer(withoutHost(session))).find(({ tag }) => tag === 0xa9)
    return hint === undefined ? undefined : Number(`0x${itemOf(hint, 0).content.toString('hex') || '0'}`)
  } catch {
    return undefined
  }
}

const hostMark = Buffer.from('\0nodejs:tls:session:1\0')

/** Since June 2026 Node puts the name of the host, after its length, before a session. */
function withoutHost (session: Buffer): Buffer {
  if (!session.subarray(0, hostMark.length).equals(hostMark)) return session
  return session.subarray(hostMark.length + 2 + session.readUInt16BE(hostMark.length))
}
