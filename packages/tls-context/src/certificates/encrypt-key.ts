import { createCipheriv, pbkdf2Sync, randomBytes, scryptSync, type KeyObject } from 'node:crypto'
import { integer, objectIdentifier, octetString, sequence, tagged } from './der.js'
import { pemOf } from './pem.js'

/** How a passphrase becomes a key. */
export type KeyDerivation = 'scrypt' | 'PBKDF2'

const scryptCost = { N: 16_384, r: 8, p: 1 }
/** OWASP's advice for PBKDF2 with HMAC-SHA-256, 2023. */
const iterations = 600_000

const aes256Cbc = '2.16.840.1.101.3.4.1.42'
const pbes2 = '1.2.840.113549.1.5.13'
const derivationIdentifiers = { scrypt: '1.3.6.1.4.1.11591.4.11', PBKDF2: '1.2.840.113549.1.5.12' }
const hmacWithSha256 = sequence(objectIdentifier('1.2.840.113549.2.9'), tagged(0x05))

/**
 * A private key as PKCS#8 in PEM, encrypted with AES-256 under a passphrase (RFC 5958, RFC 8018 PBES2, RFC 7914): what
 * OpenSSL, and so nginx and Node, can read. Node's own export derives with 2,048 rounds, which is little.
 *
 * @param derivation Default: `'scrypt'`; `'PBKDF2'` with 600,000 rounds is for what must do with approved algorithms.
 * @example writeFileSync('key.pem', encryptKey(createPrivateKey(pem), passphrase), { mode: 0o600 })
 */
export function encryptKey (key: KeyObject, passphrase: string, derivation: KeyDerivation = 'scrypt'): string {
  const [salt, iv] = [randomBytes(16), randomBytes(16)]
  const derived = derivation === 'scrypt' ? scryptSync(passphrase, salt, 32, scryptCost) : pbkdf2Sync(passphrase, salt, iterations, 32, 'sha256')
  const parameters = derivation === 'scrypt'
    ? sequence(octetString(salt), number(scryptCost.N), number(scryptCost.r), number(scryptCost.p))
    : sequence(octetString(salt), number(iterations), hmacWithSha256)
  const cipher = createCipheriv('aes-256-cbc', derived, iv)
  const encrypted = Buffer.concat([cipher.update(key.export({ type: 'pkcs8', format: 'der' })), cipher.final()])
  return pemOf('ENCRYPTED PRIVATE KEY', sequence(
    sequence(objectIdentifier(pbes2), sequence(
      sequence(objectIdentifier(derivationIdentifiers[derivation]), parameters),
      sequence(objectIdentifier(aes256Cbc), octetString(iv))
    )),
    octetString(encrypted)
  ))
}

function number (value: number): Buffer {
  return integer(value >>> 24 & 0xff, value >>> 16 & 0xff, value >>> 8 & 0xff, value & 0xff)
}
