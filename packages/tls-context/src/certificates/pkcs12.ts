import { createDecipheriv, createHash, createPrivateKey, pbkdf2Sync, X509Certificate, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { systemCode, tlsContextError } from '../errors.js'
import { DerError, itemOf, itemsOf, readDer, readInteger, readObjectIdentifier, type DerValue } from './der-read.js'

/** What a PKCS#12 file holds (RFC 7292). */
export interface Pkcs12Contents {
  readonly certificates: readonly X509Certificate[]
  readonly privateKey: KeyObject
}

const data = '1.2.840.113549.1.7.1'
const encryptedData = '1.2.840.113549.1.7.6'
const keyBag = '1.2.840.113549.1.12.10.1.1'
const shroudedKeyBag = '1.2.840.113549.1.12.10.1.2'
const certBag = '1.2.840.113549.1.12.10.1.3'
const pbes2 = '1.2.840.113549.1.5.13'
const tripleDes = '1.2.840.113549.1.12.1.3'

const ciphers: Readonly<Record<string, readonly [name: string, keyLength: number]>> = {
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
}

const pseudoRandomFunctions: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
}

/**
 * Node takes PKCS#12 for a context, and up to version 25 shows nobody what is in it; it has to be checked like any other
 * certificate and key. OpenSSL first proves that the file is whole and the passphrase right.
 */
export function readPkcs12 (bytes: Uint8Array, passphrase: string | undefined, option: string, name: string): Pkcs12Contents {
  try {
    createSecureContext({ pfx: Buffer.from(bytes), passphrase: passphrase ?? '' })
  } catch (error) {
    throw refusal(error as Error, passphrase, option, name)
  }
  try {
    return contentsOf(bytes, passphrase ?? '')
  } catch (error) {
    const reason = error instanceof DerError ? error.message : systemCode(error)
    throw tlsContextError('PFX_INVALID', `option "${option}": the PKCS#12 in ${name} has no certificate with a private key that can be read (${reason}). Make it anew with: openssl pkcs12 -export -in fullchain.pem -inkey privkey.pem`)
  }
}

function refusal (error: Error, passphrase: string | undefined, option: string, name: string): Error {
  if (/mac verify/i.test(error.message)) {
    return passphrase === undefined
      ? tlsContextError('PASSPHRASE_MISSING', `option "${option}": the PKCS#12 in ${name} is encrypted. Give its passphrase as option "passphrase"`)
      : tlsContextError('PASSPHRASE_WRONG', `option "passphrase" does not open the PKCS#12 in ${name}. Give the passphrase that it was made with`)
  }
  if (/unsupported/i.test(error.message)) {
    return tlsContextError('PFX_LEGACY', `option "${option}": the PKCS#12 in ${name} is encrypted with RC2 or another cipher that OpenSSL 3 no longer has. Convert it once: openssl pkcs12 -legacy -in old.pfx -out all.pem, then openssl pkcs12 -export -in all.pem`)
  }
  return tlsContextError('PFX_INVALID', `option "${option}": OpenSSL cannot read the PKCS#12 in ${name} (${systemCode(error)}): it is damaged, or no PKCS#12. PEM is given as "cert" and "key"`)
}

function contentsOf (bytes: Uint8Array, passphrase: string): Pkcs12Contents {
  const authSafe = itemOf(readDer(bytes), 1)
  const safes = itemsOf(readDer(contentOf(authSafe).content))
  const bags = safes.flatMap(safe => itemsOf(readDer(decrypted(safe, passphrase))))
  const certificates: X509Certificate[] = []
  let privateKey: KeyObject | undefined
  for (const bag of bags) {
    const value = itemOf(itemOf(bag, 1), 0)
    switch (readObjectIdentifier(itemOf(bag, 0))) {
      case certBag:
        certificates.push(new X509Certificate(itemOf(itemOf(value, 1), 0).content))
        break
      case keyBag:
        privateKey ??= createPrivateKey({ key: value.raw, format: 'der', type: 'pkcs8' })
        break
      case shroudedKeyBag:
        privateKey ??= createPrivateKey({ key: value.raw, format: 'der', type: 'pkcs8', passphrase })
        break
    }
  }
  if (privateKey === undefined) throw new DerError('it holds no private key')
  return { certificates, privateKey }
}

/** The value in the `[0] EXPLICIT` of a ContentInfo. */
function contentOf (contentInfo: DerValue): DerValue {
  return itemOf(itemOf(contentInfo, 1), 0)
}

function decrypted (safe: DerValue, passphrase: string): Buffer {
  const type = readObjectIdentifier(itemOf(safe, 0))
  if (type === data) return contentOf(safe).content
  if (type !== encryptedData) throw new DerError(`content of type ${type}`)
  const encryptedContent = itemOf(contentOf(safe), 1)
  const algorithm = itemOf(encryptedContent, 1)
  const ciphertext = itemOf(encryptedContent, 2).content
  const parameters = itemOf(algorithm, 1)
  switch (readObjectIdentifier(itemOf(algorithm, 0))) {
    case pbes2: return decryptPbes2(parameters, ciphertext, passphrase)
    case tripleDes: return decryptTripleDes(parameters, ciphertext, passphrase)
    default: throw new DerError('an encryption that is not supported')
  }
}

/** RFC 8018 section 6.2, with PBKDF2. */
function decryptPbes2 (parameters: DerValue, ciphertext: Buffer, passphrase: string): Buffer {
  const [derivation, encryption] = itemsOf(parameters)
  if (derivation === undefined || encryption === undefined) throw new DerError('PBES2 without parameters')
  const [salt, iterations, ...rest] = itemsOf(itemOf(derivation, 1))
  const cipher = ciphers[readObjectIdentifier(itemOf(encryption, 0))]
  if (salt === undefined || iterations === undefined || cipher === undefined) throw new DerError('a cipher that is not supported')
  const prf = rest.find(({ tag }) => tag === 0x30)
  const digest = prf === undefined ? 'sha1' : pseudoRandomFunctions[readObjectIdentifier(itemOf(prf, 0))] ?? 'sha256'
  const [name, keyLength] = cipher
  const key = pbkdf2Sync(passphrase, salt.content, readInteger(iterations), keyLength, digest)
  const decipher = createDecipheriv(name, key, itemOf(encryption, 1).content)
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}

function decryptTripleDes (parameters: DerValue, ciphertext: Buffer, passphrase: string): Buffer {
  const salt = itemOf(parameters, 0).content
  const iterations = readInteger(itemOf(parameters, 1))
  const key = derive(1, 24, passphrase, salt, iterations)
  const decipher = createDecipheriv('des-ede3-cbc', key, derive(2, 8, passphrase, salt, iterations))
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}

/** RFC 7292 appendix B.2 with SHA-1. */
function derive (id: number, length: number, passphrase: string, salt: Buffer, iterations: number): Buffer {
  const block = 64
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16()
  const input = Buffer.concat([repeated(salt, block), repeated(password, block)])
  const output: Buffer[] = []
  for (let done = 0; done < length; done += 20) {
    let a = createHash('sha1').update(Buffer.alloc(block, id)).update(input).digest()
    for (let round = 1; round < iterations; round++) a = createHash('sha1').update(a).digest()
    output.push(a)
    addToEachBlock(input, repeated(a, block), block)
  }
  return Buffer.concat(output).subarray(0, length)
}

function repeated (bytes: Buffer, block: number): Buffer {
  return Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
}

function addToEachBlock (input: Buffer, summand: Buffer, block: number): void {
  for (let start = 0; start < input.length; start += block) {
    let carry = 1
    for (let index = block - 1; index >= 0; index--) {
      const sum = (input[start + index] ?? 0) + (summand[index] ?? 0) + carry
      input[start + index] = sum & 0xff
      carry = sum >> 8
    }
  }
}
