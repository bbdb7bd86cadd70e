import { createHash, type KeyObject } from 'node:crypto'
import { bitString, boolean, constructed, integer, objectIdentifier, octetString, primitive, sequence } from './der.js'
import { encodeGeneralName, type GeneralName } from './general-name.js'

/** Extensions of certificates, each named as in RFC 5280 section 4.2.1. */

const keyUsageBits = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 }

const serverAuth = '1.3.6.1.5.5.7.3.1'
const nameConstraintsIdentifier = '2.5.29.30'

/** A path length of 0: this authority signs leaves alone. */
export function basicConstraints (role: 'authority' | 'leaf'): Buffer {
  return critical('2.5.29.19', role === 'authority' ? sequence(boolean(true), integer(0)) : sequence())
}

export function keyUsage (...usages: ReadonlyArray<keyof typeof keyUsageBits>): Buffer {
  const bits = usages.map(usage => keyUsageBits[usage])
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0)
  return critical('2.5.29.15', bitString(Buffer.from([octet]), 7 - Math.max(...bits)))
}

export function extendedKeyUsageServerAuth (): Buffer {
  return extension('2.5.29.37', sequence(objectIdentifier(serverAuth)))
}

export function subjectAltName (names: readonly GeneralName[]): Buffer {
  return extension('2.5.29.17', sequence(...names.map(encodeGeneralName)))
}

/**
 * Permits these names and no other DNS name or IP address. A DNS name permits its subdomains too (RFC 5280
 * section 4.2.1.10). A type of which no name is permitted would be left free, so all of it is excluded.
 */
export function nameConstraints (names: readonly GeneralName[]): Buffer {
  const excluded: GeneralName[] = []
  if (!names.some(({ type }) => type === 'dNSName')) excluded.push({ type: 'dNSName', content: Buffer.alloc(0) })
  if (!names.some(({ type }) => type === 'iPAddress')) {
    excluded.push({ type: 'iPAddress', content: Buffer.alloc(4 * 2) }, { type: 'iPAddress', content: Buffer.alloc(16 * 2) })
  }
  return critical(nameConstraintsIdentifier, sequence(
    constructed(0, ...names.map(withFullMask).map(subtree)),
    ...(excluded.length > 0 ? [constructed(1, ...excluded.map(subtree))] : [])
  ))
}

/** Whether a certificate, in DER, has critical name constraints of any kind. */
export function hasNameConstraints (certificate: Buffer): boolean {
  return certificate.includes(Buffer.concat([objectIdentifier(nameConstraintsIdentifier), boolean(true)]))
}

function withFullMask ({ type, content }: GeneralName): GeneralName {
  if (type === 'dNSName') return { type, content }
  return { type, content: Buffer.concat([content, Buffer.alloc(content.length, 0xff)]) }
}

function subtree (name: GeneralName): Buffer {
  return sequence(encodeGeneralName(name))
}

export function subjectKeyIdentifier (publicKey: KeyObject): Buffer {
  return extension('2.5.29.14', octetString(keyIdentifier(publicKey)))
}

export function authorityKeyIdentifier (publicKey: KeyObject): Buffer {
  return extension('2.5.29.35', sequence(primitive(0, keyIdentifier(publicKey))))
}

/** The leftmost 160 bits of the SHA-256 of the key (RFC 7093 section 2, method 1). */
function keyIdentifier (publicKey: KeyObject): Buffer {
  // SubjectPublicKeyInfo of a P-256 key ends with the bits of the key: an uncompressed point, 65 bytes.
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  return createHash('sha256').update(point).digest().subarray(0, 20)
}

function extension (identifier: string, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(identifier), octetString(value))
}

function critical (identifier: string, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(identifier), boolean(true), octetString(value))
}
