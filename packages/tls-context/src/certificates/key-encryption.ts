import { itemOf, itemsOf, readDer, readObjectIdentifier, type DerValue } from './der-read.js'
import { derOf, type PemBlock } from './pem.js'

/** How a private key in PEM is encrypted. */
export interface KeyEncryption {
  /** Such as `AES-256-CBC`; a dotted identifier where it is not known. */
  readonly cipher: string
  /** `scrypt`, `PBKDF2`, or a weak one: one round of MD5 (`MD5`), `PKCS#12` or `PBKDF1`. */
  readonly keyDerivation: string
  /** DES, triple DES, SEED, RC2 or RC4. */
  readonly isWeakCipher: boolean
  /** Anything but scrypt and PBKDF2. */
  readonly isLegacyDerivation: boolean
}

/** @see https://www.rfc-editor.org/rfc/rfc8018 */
const algorithms: Readonly<Record<string, string>> = {
  '1.2.840.113549.3.2': 'RC2-CBC',
  '1.2.840.113549.3.7': 'DES-EDE3-CBC',
  '1.3.14.3.2.7': 'DES-CBC',
  '1.2.410.200004.1.4': 'SEED-CBC',
  '2.16.840.1.101.3.4.1.2': 'AES-128-CBC',
  '2.16.840.1.101.3.4.1.22': 'AES-192-CBC',
  '2.16.840.1.101.3.4.1.42': 'AES-256-CBC',
  '2.16.840.1.101.3.4.1.46': 'AES-256-GCM',
}

const derivations: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.5.12': 'PBKDF2',
  '1.3.6.1.4.1.11591.4.11': 'scrypt',
}

/** Schemes that name cipher and derivation at once. */
const schemes: Readonly<Record<string, readonly [cipher: string, keyDerivation: string]>> = {
  '1.2.840.113549.1.5.3': ['DES-CBC', 'PBKDF1'],
  '1.2.840.113549.1.5.6': ['RC2-CBC', 'PBKDF1'],
  '1.2.840.113549.1.5.10': ['DES-CBC', 'PBKDF1'],
  '1.2.840.113549.1.5.11': ['RC2-CBC', 'PBKDF1'],
  '1.2.840.113549.1.12.1.1': ['RC4', 'PKCS#12'],
  '1.2.840.113549.1.12.1.2': ['RC4', 'PKCS#12'],
  '1.2.840.113549.1.12.1.3': ['DES-EDE3-CBC', 'PKCS#12'],
  '1.2.840.113549.1.12.1.4': ['DES-EDE-CBC', 'PKCS#12'],
  '1.2.840.113549.1.12.1.5': ['RC2-CBC', 'PKCS#12'],
  '1.2.840.113549.1.12.1.6': ['RC2-CBC', 'PKCS#12'],
}

const pbes2 = '1.2.840.113549.1.5.13'
const weakCipher = /^(3?DES|SEED|RC2|RC4)/

/** `undefined`: the key is not encrypted. */
export function keyEncryptionOf (block: PemBlock): KeyEncryption | undefined {
  if (block.label === 'ENCRYPTED PRIVATE KEY') return describe(...schemeOf(itemOf(readDer(derOf(block)), 0)))
  const cipher = /^DEK-Info: *([^,\s]+)/m.exec(block.pem)?.[1]
  if (cipher !== undefined) return describe(cipher, 'MD5')
  return block.pem.includes('Proc-Type: 4,ENCRYPTED') ? describe('unknown', 'MD5') : undefined
}

function schemeOf (algorithm: DerValue): readonly [cipher: string, keyDerivation: string] {
  const [identifier, parameters] = itemsOf(algorithm)
  const oid = identifier === undefined ? 'unknown' : readObjectIdentifier(identifier)
  if (oid !== pbes2 || parameters === undefined) return schemes[oid] ?? [oid, oid]
  const [derivation, encryption] = itemsOf(parameters).map(item => readObjectIdentifier(itemOf(item, 0)))
  return [algorithms[encryption ?? ''] ?? encryption ?? 'unknown', derivations[derivation ?? ''] ?? derivation ?? 'unknown']
}

function describe (cipher: string, keyDerivation: string): KeyEncryption {
  return {
    cipher,
    keyDerivation,
    isWeakCipher: weakCipher.test(cipher),
    isLegacyDerivation: keyDerivation !== 'scrypt' && keyDerivation !== 'PBKDF2',
  }
}
