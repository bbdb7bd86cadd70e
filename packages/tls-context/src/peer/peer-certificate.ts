import { createHash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { factsOf } from '../certificates/certificate-facts.js'
import type { NameAttribute } from '../certificates/distinguished-name.js'

/** The certificate that the other end of a connection showed. */
export interface PeerCertificate {
  /** Issued by an authority that is trusted, in date, not revoked. Ask this before anything else. */
  readonly authorized: boolean
  /** Why it is not, in OpenSSL's words such as `CERT_REVOKED`. */
  readonly authorizationError: string | null
  /** In the order of the certificate. */
  readonly subject: readonly NameAttribute[]
  readonly issuer: readonly NameAttribute[]
  /** The last one of the subject. */
  readonly commonName: string | null
  /** In hexadecimal, upper case, without leading zeros. */
  readonly serialNumber: string
  readonly dns: readonly string[]
  readonly ip: readonly string[]
  readonly uri: readonly string[]
  readonly email: readonly string[]
  readonly validFrom: Date
  readonly validTo: Date
  /** Whole days that it is still valid, by the clock when this was asked; negative afterwards. */
  readonly daysLeft: number
  /** SHA-256 of the certificate, in upper case hexadecimal pairs with colons. */
  readonly fingerprint256: string
  /** SHA-256 of its SubjectPublicKeyInfo in base64 (RFC 7469 section 2.4): the same after a renewal with the same key. */
  readonly spki: string
  readonly raw: Buffer
}

const day = 86_400_000

/** `null` where the peer showed none. */
export function peerCertificateOf (socket: TLSSocket): PeerCertificate | null {
  // undici and HTTP/2 hand out sockets that are proxies; what they pass on is the same.
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return null
  return describePeer(certificate, socket.authorized, socket.authorized ? null : String(socket.authorizationError ?? 'not verified'))
}

export function describePeer (certificate: X509Certificate, authorized: boolean, authorizationError: string | null): PeerCertificate {
  const { subject, issuer, names, validFrom, validTo } = factsOf(certificate)
  return Object.freeze({
    authorized,
    authorizationError,
    subject,
    issuer,
    commonName: subject.findLast(({ type }) => type === 'CN')?.value ?? null,
    serialNumber: normalSerial(certificate.serialNumber),
    ...names,
    validFrom,
    validTo,
    get daysLeft () { return Math.floor((validTo.getTime() - Date.now()) / day) },
    fingerprint256: certificate.fingerprint256,
    spki: spkiOf(certificate),
    raw: certificate.raw,
  })
}

/** @example normalSerial('0a:1b') // 'A1B' */
export function normalSerial (serial: string): string {
  return serial.replaceAll(/[:\s]/g, '').replace(/^0x/i, '').toUpperCase().replace(/^0+(?=.)/, '')
}

export function spkiOf ({ publicKey }: X509Certificate): string {
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
}
