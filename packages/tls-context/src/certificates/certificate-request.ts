import { createHash, generateKeyPair, sign, type KeyObject } from 'node:crypto'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { arrayOf, oneOf, string, type Rule } from '@fastkeep/options'
import { checkOptions, tlsContextError } from '../errors.js'
import { inOwnDirectory, writeNewFiles } from './certificate-set.js'
import { bitString, constructed, integer, objectIdentifier, sequence, set, tagged, utf8String } from './der.js'
import { encryptKey, type KeyDerivation } from './encrypt-key.js'
import { subjectAltName } from './extensions.js'
import { generalName, name } from './general-name.js'
import { pemOf } from './pem.js'

export interface CertificateRequestOptions {
  /** Where `request.pem` and `key.pem` are written; made with mode 0700 where it is missing. */
  directory: string
  /** Host names, wildcards as `*.example.org`, and IP addresses. */
  names: readonly string[]
  /** Default: `'P-256'`. */
  key?: 'P-256' | 'P-384' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096'
  organization?: string
  /** Encrypts the key. */
  passphrase?: string
  /** Default: `'scrypt'`. */
  keyDerivation?: KeyDerivation
}

const keys = ['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const
const requestedName: Rule = { ...name, expected: 'a host name in ASCII, "*." and one, or an IP address', accepts: value => name.accepts(value) || (typeof value === 'string' && value.startsWith('*.') && name.accepts(value.slice(2))) }

export const keyEncryptionRules = {
  passphrase: { ...string(), isSecret: true },
  keyDerivation: oneOf(['scrypt', 'PBKDF2']),
} satisfies Record<string, Rule>

const optionRules: Readonly<Record<keyof CertificateRequestOptions, Rule>> = {
  directory: string('the path of a directory'),
  names: arrayOf(requestedName),
  key: oneOf(keys),
  organization: string(),
  ...keyEncryptionRules,
}

const extensionRequest = '1.2.840.113549.1.9.14'
const signatureIdentifiers = { ecdsaWithSha256: '1.2.840.10045.4.3.2', sha256WithRsa: '1.2.840.113549.1.1.11' }

/**
 * Makes a key and a certificate signing request (RFC 2986) for an authority: `request.pem` is what it wants, `key.pem`,
 * with mode 0600, stays here. Files that are there are never replaced.
 *
 * Rejects with `exitCode` 78: `OPTION_UNKNOWN`, `OPTION_INVALID`, `DIRECTORY_TAKEN`, `DIRECTORY_NOT_USABLE`.
 *
 * @example
 * const { request, key } = await createCertificateRequest({ directory: 'certificates', names: ['example.org'] })
 */
export async function createCertificateRequest (options: CertificateRequestOptions): Promise<{ readonly request: string, readonly key: string }> {
  checkOptions({ ...options, directory: options.directory ?? null, names: options.names ?? null }, optionRules)
  const { names, key = 'P-256', organization, passphrase, keyDerivation } = options
  const directory = resolve(options.directory)
  const paths = { request: join(directory, 'request.pem'), key: join(directory, 'key.pem') }
  return await inOwnDirectory(directory, async () => {
    const { publicKey, privateKey } = await newKeyPair(key)
    const isNew = await writeNewFiles([
      [paths.key, keyPem(privateKey, passphrase, keyDerivation), 0o600],
      [paths.request, signedRequest(names, organization, publicKey, privateKey), 0o644],
    ])
    if (!isNew) throw tlsContextError('DIRECTORY_TAKEN', `${directory} holds a request.pem or key.pem, and a key is never replaced. Name another directory, or move them away`)
    return paths
  })
}

export function keyPem (key: KeyObject, passphrase: string | undefined, derivation: KeyDerivation | undefined): string {
  return passphrase === undefined ? key.export({ type: 'pkcs8', format: 'pem' }) as string : encryptKey(key, passphrase, derivation)
}

async function newKeyPair (key: NonNullable<CertificateRequestOptions['key']>): Promise<{ publicKey: KeyObject, privateKey: KeyObject }> {
  return key.startsWith('RSA')
    ? await promisify(generateKeyPair)('rsa', { modulusLength: Number(key.slice(4)) })
    : await promisify(generateKeyPair)('ec', { namedCurve: key })
}

function signedRequest (names: readonly string[], organization: string | undefined, publicKey: KeyObject, privateKey: KeyObject): string {
  const info = sequence(
    integer(0),
    sequence(...organization === undefined ? [] : [attribute('2.5.4.10', organization)], attribute('2.5.4.3', commonName(names))),
    publicKey.export({ type: 'spki', format: 'der' }),
    constructed(0, sequence(objectIdentifier(extensionRequest), set(sequence(subjectAltName(names.map(generalName))))))
  )
  const algorithm = privateKey.asymmetricKeyType === 'rsa'
    ? sequence(objectIdentifier(signatureIdentifiers.sha256WithRsa), tagged(0x05))
    : sequence(objectIdentifier(signatureIdentifiers.ecdsaWithSha256))
  return pemOf('CERTIFICATE REQUEST', sequence(info, algorithm, bitString(sign('sha256', info, privateKey))))
}

function attribute (type: string, value: string): Buffer {
  return set(sequence(objectIdentifier(type), utf8String(value)))
}

/** At most 64 characters long (RFC 5280 appendix A); the names that count are in the subjectAltName. */
function commonName (names: readonly string[]): string {
  return names.find(({ length }) => length <= 64) ?? createHash('sha256').update(names.join()).digest('hex').slice(0, 32)
}
