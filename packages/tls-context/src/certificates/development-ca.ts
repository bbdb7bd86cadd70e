import { generateKeyPair, randomBytes, type KeyObject, type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { arrayOf, integer, string } from '@fastkeep/options'
import { checkOptions, tlsContextError } from '../errors.js'
import { keyEncryptionRules, keyPem } from './certificate-request.js'
import { certificateSetPaths, inOwnDirectory, readCertificateSet, refuseForeignSet, writeCertificateSet, type CertificateSet, type Ours } from './certificate-set.js'
import type { KeyDerivation } from './encrypt-key.js'
import { authorityKeyIdentifier, basicConstraints, extendedKeyUsageServerAuth, hasNameConstraints, keyUsage, nameConstraints, subjectAltName, subjectKeyIdentifier } from './extensions.js'
import { generalName, name, namesOf } from './general-name.js'
import { signCertificate } from './sign-certificate.js'
import { validityOf } from './validate.js'

export interface DevelopmentCertificateOptions {
  /** Where `ca.pem`, `cert.pem` and `key.pem` are; made with mode 0700 where it is missing. */
  directory: string
  /** Host names in ASCII without wildcards, and IP addresses. Default: `localhost`, `127.0.0.1`, `::1`. */
  names?: readonly string[]
  /** 1 to 825, the most that Apple's clients accept. Default: 90. */
  days?: number
  /** Encrypts the key, with AES-256 in PKCS#8. */
  passphrase?: string
  /** How the passphrase becomes a key. Default: `'scrypt'`. */
  keyDerivation?: KeyDerivation
}

/** Absolute paths of PEM files. */
export interface DevelopmentCertificate {
  /** The authority that clients are to trust. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** `false`: the set that was there is still good. */
  readonly created: boolean
  readonly validTo: Date
}

const optionRules = {
  directory: string('the path of a directory'),
  names: arrayOf(name),
  days: integer(1, 825, 'days'),
  ...keyEncryptionRules,
}

/** With defaults filled in; the key may stay unencrypted. */
type Wanted = Required<Omit<DevelopmentCertificateOptions, 'passphrase' | 'keyDerivation'>> & Pick<DevelopmentCertificateOptions, 'passphrase' | 'keyDerivation'>

const defaultNames: readonly string[] = ['localhost', '127.0.0.1', '::1']
const authorityName = 'Fastkeep development CA'
// No host name: some clients take a common name that looks like one for a name to check.
const leafName = 'Fastkeep development certificate'

const day = 86_400_000
const renewalMargin = 7 * day
const clockSkew = 5 * 60_000

/**
 * Makes a certificate authority for development and a server certificate under it (both EC P-256, ECDSA with SHA-256),
 * and replaces what an earlier call left in `directory`. The authority's key is never written: when the certificate is
 * signed it is gone, and critical name constraints keep the authority to `names`, so trusting it endangers no other site.
 *
 * Rejects with `exitCode` 78: `FST_KEEP_TLS_CONTEXT_` followed by `OPTION_UNKNOWN`, `OPTION_INVALID`,
 * `DIRECTORY_TAKEN` (it holds a certificate or key of another origin) or `DIRECTORY_NOT_USABLE`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280
 * @example
 * const { ca, cert, key } = await createDevelopmentCertificate({ directory: 'certificates' })
 * // curl --cacert <ca> https://localhost:8443
 */
export async function createDevelopmentCertificate (options: DevelopmentCertificateOptions): Promise<DevelopmentCertificate> {
  const wanted = resolved(options)
  return await inOwnDirectory(wanted.directory, () => replacedSet(wanted))
}

/**
 * The development certificate in `directory`: the one that is there when its files belong together, it covers `names`
 * and has more than 7 days left, else a new one. Options and errors are those of `createDevelopmentCertificate`.
 *
 * @example
 * const { cert, key } = await developmentCertificate({ directory: 'certificates' })
 * const app = Fastify({ https: createServerContext({ cert, key }).options })
 */
export async function developmentCertificate (options: DevelopmentCertificateOptions): Promise<DevelopmentCertificate> {
  const wanted = resolved(options)
  // Once more under the lock: another process may have made it since.
  return await goodSet(wanted) ?? await inOwnDirectory(wanted.directory, async () => await goodSet(wanted) ?? await replacedSet(wanted))
}

function resolved (options: DevelopmentCertificateOptions): Wanted {
  checkOptions({ ...options, directory: options.directory ?? null }, optionRules)
  return { directory: resolve(options.directory), names: options.names ?? defaultNames, days: options.days ?? 90, ...options.passphrase !== undefined && { passphrase: options.passphrase }, ...options.keyDerivation !== undefined && { keyDerivation: options.keyDerivation } }
}

async function goodSet ({ directory, names, passphrase }: Wanted): Promise<DevelopmentCertificate | undefined> {
  const set = await readCertificateSet(directory, passphrase)
  if (set === undefined || !ours.isAuthority(set.ca) || !isOfThisLeafAlone(set.ca, set.leaf) || !isGood(set.leaf, names)) return undefined
  return { ...certificateSetPaths(directory), created: false, validTo: validityOf(set.leaf).validTo }
}

async function replacedSet ({ directory, names, days, passphrase, keyDerivation }: Wanted): Promise<DevelopmentCertificate> {
  await refuseForeignSet(directory, ours, passphrase)
  await writeCertificateSet(directory, await makeCertificateSet(names, days, key => keyPem(key, passphrase, keyDerivation)))
  const written = await readCertificateSet(directory, passphrase)
  if (written === undefined) {
    throw tlsContextError('DIRECTORY_NOT_USABLE', `the certificate written to ${directory} does not read back as a whole: another program may be writing there. Try again`)
  }
  return { ...certificateSetPaths(directory), created: true, validTo: validityOf(written.leaf).validTo }
}

function isGood (leaf: X509Certificate, names: readonly string[]): boolean {
  const { validFrom, validTo } = validityOf(leaf)
  const now = Date.now()
  return validFrom.getTime() <= now && validTo.getTime() - now > renewalMargin && names.every(name => isCoveredBy(leaf, name))
}

function isCoveredBy (leaf: X509Certificate, name: string): boolean {
  const match = isIP(name) === 0 ? leaf.checkHost(name, { subject: 'never' }) : leaf.checkIP(name)
  return match !== undefined
}

const ours: Ours = {
  isAuthority: certificate => isIssuedByUs(certificate) && certificate.subject === certificate.issuer && hasNameConstraints(certificate.raw),
  isLeaf: certificate => isIssuedByUs(certificate) && certificate.subject === `CN=${leafName}`,
}

function isIssuedByUs ({ issuer }: X509Certificate): boolean {
  return issuer.startsWith(`CN=${authorityName} `)
}

/** An authority with our name that may vouch for more than our leaf is none that clients should have been told to trust. */
function isOfThisLeafAlone (authority: X509Certificate, leaf: X509Certificate): boolean {
  return authority.raw.includes(nameConstraints(namesOf(leaf).map(generalName)))
}

async function makeCertificateSet (texts: readonly string[], days: number, write: (key: KeyObject) => string): Promise<CertificateSet> {
  const given = texts.map(generalName)
  // In the order in which they are read again.
  const names = [...given.filter(({ type }) => type === 'dNSName'), ...given.filter(({ type }) => type === 'iPAddress')]
  const authority = await newKeyPair()
  const leaf = await newKeyPair()
  const now = Date.now()
  const validity = { notBefore: new Date(now - clockSkew), notAfter: new Date(now + days * day) }
  // Told apart in a trust store that still holds an earlier one.
  const issuer = `${authorityName} ${randomBytes(4).toString('hex')}`

  const ca = signCertificate({
    issuer,
    subject: issuer,
    ...validity,
    publicKey: authority.publicKey,
    extensions: [
      basicConstraints('authority'),
      keyUsage('keyCertSign', 'cRLSign'),
      nameConstraints(names),
      subjectKeyIdentifier(authority.publicKey),
    ],
  }, authority.privateKey)

  const cert = signCertificate({
    issuer,
    subject: leafName,
    ...validity,
    publicKey: leaf.publicKey,
    extensions: [
      basicConstraints('leaf'),
      keyUsage('digitalSignature'),
      extendedKeyUsageServerAuth(),
      subjectAltName(names),
      authorityKeyIdentifier(authority.publicKey),
      subjectKeyIdentifier(leaf.publicKey),
    ],
  }, authority.privateKey)

  return { ca, cert, key: write(leaf.privateKey) }
}

function newKeyPair (): Promise<{ publicKey: KeyObject, privateKey: KeyObject }> {
  return promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
}
