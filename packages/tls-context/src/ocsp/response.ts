import { verify, X509Certificate } from 'node:crypto'
import { factsOf, isSignedBy } from '../certificates/certificate-facts.js'
import { DerError, itemOf, itemsOf, readDer, readObjectIdentifier, readTime, type DerValue } from '../certificates/der-read.js'
import type { CertificateId } from './request.js'

export interface OcspStatus {
  readonly status: 'good' | 'revoked' | 'unknown'
  readonly thisUpdate: Date
  /** Default of the standard: newer information is always there; then it is not kept. */
  readonly nextUpdate: Date | undefined
}

/** A response that is not to be believed, or is none; the message says why. */
export class OcspError extends Error {}

const basicResponse = '1.3.6.1.5.5.7.48.1.1'
const ocspSigning = '1.3.6.1.5.5.7.3.9'
const responseStatuses = ['successful', 'malformedRequest', 'internalError', 'tryLater', '', 'sigRequired', 'unauthorized']
const certificateStatuses: Readonly<Record<number, OcspStatus['status']>> = { 0x80: 'good', 0xa1: 'revoked', 0x82: 'unknown' }
const clockSkew = 300_000

/** `null`: the key's own digest, as with Ed25519. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.5': 'sha1',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.1': 'sha1',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
}

/**
 * Reads an OCSPResponse (RFC 6960 section 4.2), and believes it only where the issuer, or a responder that the issuer
 * has authorized, signed it, and it is about this certificate and of this time. Throws `OcspError`.
 */
export function readOcspResponse (bytes: Uint8Array, id: CertificateId, issuer: X509Certificate, now: Date): OcspStatus {
  try {
    return read(bytes, id, issuer, now)
  } catch (error) {
    throw error instanceof OcspError ? error : new OcspError(error instanceof DerError ? `it is damaged: ${error.message}` : 'it cannot be read')
  }
}

function read (bytes: Uint8Array, id: CertificateId, issuer: X509Certificate, now: Date): OcspStatus {
  const [statusItem, wrapped] = itemsOf(readDer(bytes))
  const responseStatus = statusItem?.content[0] ?? -1
  if (responseStatus !== 0 || wrapped === undefined) throw new OcspError(`the responder answered ${responseStatuses[responseStatus] || 'an unknown status'}`)
  const responseBytes = itemOf(wrapped, 0)
  if (readObjectIdentifier(itemOf(responseBytes, 0)) !== basicResponse) throw new OcspError('it is of a type that is not supported')
  const [data, algorithm, signature, certificates] = itemsOf(readDer(itemOf(responseBytes, 1).content))
  if (data === undefined || algorithm === undefined || signature === undefined) throw new DerError('it lacks fields')
  assertSigned(data, algorithm, signature, certificates, issuer, now)

  const responses = itemsOf(data).find(({ tag }) => tag === 0x30)
  const single = responses && itemsOf(responses).map(itemsOf).find(([certId]) => certId?.raw.equals(id.der))
  if (single === undefined) throw new OcspError('it is about another certificate')
  const [, certificateStatus, thisUpdate, next] = single
  if (certificateStatus === undefined || thisUpdate === undefined) throw new DerError('a status lacks fields')
  const result: OcspStatus = {
    status: certificateStatuses[certificateStatus.tag] ?? 'unknown',
    thisUpdate: readTime(thisUpdate),
    nextUpdate: next?.tag === 0xa0 ? readTime(itemOf(next, 0)) : undefined,
  }
  if (result.thisUpdate.getTime() > now.getTime() + clockSkew) throw new OcspError('it is of the future')
  if (result.nextUpdate !== undefined && result.nextUpdate < now) throw new OcspError(`it was to be replaced by ${result.nextUpdate.toISOString()}`)
  return result
}

function assertSigned (data: DerValue, algorithm: DerValue, signature: DerValue, certificates: DerValue | undefined, issuer: X509Certificate, now: Date): void {
  const oid = readObjectIdentifier(itemOf(algorithm, 0))
  if (!Object.hasOwn(digests, oid)) throw new OcspError(`it is signed with ${oid}, which is not supported`)
  const delegates = certificates === undefined ? [] : itemsOf(itemOf(certificates, 0)).map(({ raw }) => new X509Certificate(raw)).filter(certificate => isDelegate(certificate, issuer, now))
  const isSigned = [issuer, ...delegates].some(({ publicKey }) => {
    try {
      return verify(digests[oid], data.raw, publicKey, signature.content.subarray(1))
    } catch {
      return false
    }
  })
  if (!isSigned) throw new OcspError('neither the issuer nor a responder of the issuer signed it')
}

function isDelegate (certificate: X509Certificate, issuer: X509Certificate, now: Date): boolean {
  const { extendedKeyUsage, validFrom, validTo } = factsOf(certificate)
  return extendedKeyUsage?.includes(ocspSigning) === true && validFrom <= now && now <= validTo &&
    certificate.checkIssued(issuer) && isSignedBy(certificate, issuer)
}
