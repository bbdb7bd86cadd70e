import { randomBytes, sign, type KeyObject } from 'node:crypto'
import { bitString, constructed, integer, objectIdentifier, sequence, set, time, utf8String } from './der.js'
import { pemOf } from './pem.js'

/** TBSCertificate of RFC 5280 section 4.1, less what is the same in all of ours. */
export interface UnsignedCertificate {
  /** A common name. */
  readonly issuer: string
  /** A common name. */
  readonly subject: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly publicKey: KeyObject
  readonly extensions: readonly Uint8Array[]
}

const commonName = '2.5.4.3'
const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))
const version3 = constructed(0, integer(2))

/** Signs with ECDSA and SHA-256, under a random serial number of 128 bits; gives PEM. */
export function signCertificate (certificate: UnsignedCertificate, signingKey: KeyObject): string {
  const toBeSigned = sequence(
    version3,
    integer(...randomBytes(16)),
    ecdsaWithSha256,
    distinguishedName(certificate.issuer),
    sequence(time(certificate.notBefore), time(certificate.notAfter)),
    distinguishedName(certificate.subject),
    certificate.publicKey.export({ type: 'spki', format: 'der' }),
    constructed(3, sequence(...certificate.extensions))
  )
  return pemOf('CERTIFICATE', sequence(toBeSigned, ecdsaWithSha256, bitString(sign('sha256', toBeSigned, signingKey))))
}

function distinguishedName (name: string): Buffer {
  return sequence(set(sequence(objectIdentifier(commonName), utf8String(name))))
}
