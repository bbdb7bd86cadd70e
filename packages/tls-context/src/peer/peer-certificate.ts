import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { factsOf, isReadable, type CertificateFacts } from '../certificates/certificate-facts.js'
import type { NameAttribute } from '../certificates/distinguished-name.js'

/** The certificate that the other end of a connection showed. */
export interface PeerCertificate {
  /** Issued by an authority that is trusted, in date, not revoked. Ask this before anything else. */
  readonly authorized: boolean
  /** Why it is not, in OpenSSL's words such as `CERT_REVOKED`; `CERT_NOT_READABLE` where its names cannot be read. */
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
  return describePeer(certificate, socket.authorized ? null : String(socket.authorizationError ?? 'not verified'))
}

/** What can be told of a certificate that OpenSSL has taken, or has left for others to judge, and that cannot be read. */
const unreadable: Pick<CertificateFacts, 'subject' | 'issuer' | 'names' | 'validFrom' | 'validTo' | 'spki'> = {
  subject: [], issuer: [], names: { dns: [], ip: [], uri: [], email: [] }, validFrom: new Date(0), validTo: new Date(0), spki: '',
}

/** @param fault why OpenSSL does not trust it, or `null` */
export function describePeer (certificate: X509Certificate, fault: string | null): PeerCertificate {
  const { subject, issuer, names, validFrom, validTo, spki } = isReadable(certificate) ? factsOf(certificate) : unreadable
  // A session that is resumed was judged when it began.
  const authorizationError = fault ?? (spki === '' ? 'CERT_NOT_READABLE' : validTo.getTime() < Date.now() ? 'CERT_HAS_EXPIRED' : null)
  return Object.freeze({
    authorized: authorizationError === null,
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
    spki,
    raw: certificate.raw,
  })
}

/** @example normalSerial('0a:1b') // 'A1B' */
export function normalSerial (serial: string): string {
  return serial.replaceAll(/[:\s]/g, '').replace(/^0x/i, '').toUpperCase().replace(/^0+(?=.)/, '')
}
