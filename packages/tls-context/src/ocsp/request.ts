import { createHash, type X509Certificate } from 'node:crypto'
import { objectIdentifier, octetString, sequence, tagged } from '../certificates/der.js'
import { itemOf, itemsOf, readDer, type DerValue } from '../certificates/der-read.js'

/** The certificate that is asked for, in the terms of RFC 6960 section 4.1.1. */
export interface CertificateId {
  /** The whole CertID in DER, with SHA-1, which every responder knows; it protects nothing here. */
  readonly der: Buffer
}

const sha1 = sequence(objectIdentifier('1.3.14.3.2.26'), tagged(0x05))

export function certificateId (leaf: X509Certificate, issuer: X509Certificate): CertificateId {
  const digest = (bytes: Uint8Array) => octetString(createHash('sha1').update(bytes).digest())
  const { subject, publicKeyBits } = partsOf(issuer)
  return { der: sequence(sha1, digest(subject.raw), digest(publicKeyBits), partsOf(leaf).serialNumber.raw) }
}

/** An OCSPRequest in DER for one certificate. */
export function ocspRequest ({ der }: CertificateId): Buffer {
  return sequence(sequence(sequence(sequence(der))))
}

function partsOf (certificate: X509Certificate): { serialNumber: DerValue, subject: DerValue, publicKeyBits: Buffer } {
  const fields = itemsOf(itemOf(readDer(certificate.raw), 0))
  const [serialNumber, , , , subject, publicKeyInfo] = (fields[0]?.tag === 0xa0 ? fields.slice(1) : fields) as [DerValue, DerValue, DerValue, DerValue, DerValue, DerValue]
  // Without the octet that counts the unused bits.
  return { serialNumber, subject, publicKeyBits: itemOf(publicKeyInfo, 1).content.subarray(1) }
}
