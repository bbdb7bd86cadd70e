import { isIP } from 'node:net'
import type { X509Certificate } from 'node:crypto'
import { factsOf, isSignedBy, keyOf } from './certificate-facts.js'
import { textOfName } from './distinguished-name.js'
import { finding, type Finding } from './finding.js'
import type { Identity } from './load.js'
import { hasPublicRoot } from './public-roots.js'

export interface ValidateOptions {
  readonly now: Date
  /** Host names and addresses that the certificate has to cover; a wildcard must be there as it is. */
  readonly hosts: readonly string[]
}

const day = 86_400_000
const serverAuth = '1.3.6.1.5.5.7.3.1'
const anyExtendedKeyUsage = '2.5.29.37.0'
const weakSignature = /^(md2|md5|sha1)With|WithSha1$/
const othersMayRead = 0o004
const groupMayWrite = 0o022

/** The fewest bits of a key, by its kind (RFC 9325 section 4.5); the other kinds have none too small. */
const fewestBits: Readonly<Record<string, number>> = { rsa: 2048, 'rsa-pss': 2048, ec: 224 }

/** CA/Browser Forum ballot SC-081v3: the most days that a public certificate issued from then on may be valid. */
const lifetimeLimits: ReadonlyArray<readonly [from: number, days: number]> = [
  [Date.UTC(2029, 2, 15), 47],
  [Date.UTC(2027, 2, 15), 100],
  [Date.UTC(2026, 2, 15), 200],
  [Date.UTC(2020, 8, 1), 398],
]

/** When a certificate comes near its end: 30 days before it, or with a third of its life left. */
export function soonFrom (leaf: X509Certificate): Date {
  const { validFrom, validTo } = factsOf(leaf)
  return new Date(validTo.getTime() - Math.min(30 * day, (validTo.getTime() - validFrom.getTime()) / 3))
}

/**
 * Checks what OpenSSL lets pass until the first handshake fails, and what clients refuse. Dates that are errors are
 * those of the leaf alone: a chain may hold an expired cross-signed certificate on purpose, for old clients.
 */
export function validateIdentity (identity: Identity, { now, hosts }: ValidateOptions): Finding[] {
  return [...keyFindings(identity), ...chainFindings(identity, now), ...dateFindings(identity, now), ...leafFindings(identity), ...hostFindings(identity.chain[0], hosts)]
}

function * keyFindings ({ chain, privateKey, keyFile, keyEncryption }: Identity): Generator<Finding> {
  const [leaf, ...rest] = chain
  // OpenSSL itself accepts an RSA key beside an EC certificate.
  if (!leaf.checkPrivateKey(privateKey)) {
    const position = rest.findIndex(certificate => certificate.checkPrivateKey(privateKey))
    yield position === -1
      ? finding('KEY_MISMATCH', `the key (${privateKey.asymmetricKeyType}) does not belong to the certificate (${leaf.publicKey.asymmetricKeyType}, ${subjectOf(leaf)})`, 'give the key that the certificate was requested with')
      : finding('LEAF_NOT_FIRST', `the key belongs to certificate ${position + 2} of ${chain.length} in the chain (${subjectOf(chain[position + 1] ?? leaf)}), not to the first (${subjectOf(leaf)})`, 'put the server\'s own certificate first, then each issuer after the one that it signed')
  }
  if (keyFile !== undefined && process.platform !== 'win32' && (keyFile.mode & (othersMayRead | groupMayWrite)) !== 0) {
    yield finding('KEY_FILE_MODE', `the key ${keyFile.path} can be read or changed by others (mode ${(keyFile.mode & 0o777).toString(8).padStart(4, '0')})`, `chmod 0600 ${keyFile.path}, or 0640 for one group`)
  }
  if (keyEncryption?.isWeakCipher === true) {
    yield finding('KEY_WEAK_ENCRYPTION', `the key is encrypted with ${keyEncryption.cipher}, which protects it no longer`, 'encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt')
  } else if (keyEncryption?.isLegacyDerivation === true) {
    yield finding('KEY_LEGACY_DERIVATION', `the key is encrypted with ${keyEncryption.cipher} under a passphrase that one round of ${keyEncryption.keyDerivation} turns into a key: it is quickly guessed`, 'encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt')
  }
}

function * chainFindings ({ chain }: Identity, now: Date): Generator<Finding> {
  const [leaf, ...rest] = chain
  const fingerprints = chain.map(({ fingerprint256 }) => fingerprint256)
  const duplicate = fingerprints.findIndex((fingerprint, index) => fingerprints.indexOf(fingerprint) !== index)
  if (duplicate !== -1) yield finding('CERTIFICATE_DUPLICATE', `certificate ${duplicate + 1} of the chain stands there twice (${subjectOf(chain[duplicate] ?? leaf)})`, 'remove one of the two: each costs every handshake its bytes')

  const misplaced = chain.findIndex((certificate, index) => index > 0 && index !== duplicate && !isIssuedBy(chain[index - 1] ?? leaf, certificate))
  const isOrdered = misplaced === -1
  if (!isOrdered) {
    const stranger = chain[misplaced] ?? leaf
    const isIssuerOfAnother = chain.some(certificate => certificate !== stranger && isIssuedBy(certificate, stranger))
    yield finding('CHAIN_ORDER', `certificate ${misplaced + 1} of ${chain.length} (${subjectOf(stranger)}) did not sign the one before it${isIssuerOfAnother ? '' : ', nor any other of the chain'}`, isIssuerOfAnother ? 'put each issuer right after the certificate that it signed' : 'remove it, or put in the issuer that is missing')
  }
  const roots = rest.filter(certificate => factsOf(certificate).isSelfSigned)
  if (roots.length > 0) yield finding('CHAIN_HAS_ROOT', `the chain holds the root ${subjectOf(roots[0] ?? leaf)}: a client has it, or does not trust it`, 'leave the root out, it costs every handshake its bytes')

  const top = topOf(chain)
  const facts = factsOf(top)
  // A private root is nowhere to be found; a certificate that tells where its issuer is can be completed.
  if (!facts.isSelfSigned && facts.issuerUrls.length > 0 && !hasPublicRoot(top)) {
    yield finding('CHAIN_INCOMPLETE', `the issuer of ${subjectOf(top)} (${textOfName(facts.issuer)}) is not in the chain and no public root: clients that do not have it refuse the server`, `append the intermediate certificate from ${facts.issuerUrls[0]}`)
  }
  for (const certificate of chain) {
    const { signatureAlgorithm, isSelfSigned } = factsOf(certificate)
    // Nobody looks at the signature of a root.
    if (!isSelfSigned && weakSignature.test(signatureAlgorithm)) {
      yield finding('WEAK_SIGNATURE', `${subjectOf(certificate)} is signed with ${signatureAlgorithm}, which clients refuse`, 'have it issued anew with SHA-256 or better')
    }
    const { type, bits } = keyOf(certificate)
    const fewest = fewestBits[type] ?? 0
    if (bits < fewest) yield finding('WEAK_KEY', `the ${type} key of ${subjectOf(certificate)} has ${bits} bits, and ${fewest} is the least`, 'make an EC P-256 key, or RSA with 2048 bits or more')
    const isExpired = certificate !== leaf && factsOf(certificate).validTo < now
    if (isExpired) yield finding('CHAIN_EXPIRED', `${subjectOf(certificate)} in the chain expired at ${factsOf(certificate).validTo.toISOString()}`, 'replace it with the one that its authority uses now')
  }
}

function * dateFindings ({ chain }: Identity, now: Date): Generator<Finding> {
  const [leaf] = chain
  const { validFrom, validTo } = factsOf(leaf)
  const [life, left] = [validTo.getTime() - validFrom.getTime(), validTo.getTime() - now.getTime()]
  if (now > validTo) {
    yield finding('CERTIFICATE_EXPIRED', `the certificate (${subjectOf(leaf)}) expired at ${validTo.toISOString()}`, 'renew it')
  } else if (now < validFrom) {
    yield finding('CERTIFICATE_NOT_YET_VALID', `the certificate (${subjectOf(leaf)}) is valid from ${validFrom.toISOString()} on, and it is ${now.toISOString()} here`, 'set this machine\'s clock, or wait')
  } else if (now > soonFrom(leaf)) {
    yield finding('EXPIRES_SOON', `the certificate (${subjectOf(leaf)}) expires at ${validTo.toISOString()}, in ${Math.floor(left / day)} days`, 'renew it now, and find out why that has not happened by itself')
  }
  const [, limit = Infinity] = lifetimeLimits.find(([from]) => validFrom.getTime() >= from) ?? []
  if (life > limit * day + 1_000) {
    const isPublic = hasPublicRoot(topOf(chain))
    yield finding('LIFETIME_TOO_LONG', `the certificate (${subjectOf(leaf)}) is valid for ${Math.round(life / day)} days, and public ones may be for ${limit}`, 'have it issued for a shorter time, and renew it by a program', isPublic ? 'warning' : 'info')
  }
}

function * leafFindings ({ chain: [leaf, ...rest] }: Identity): Generator<Finding> {
  const { isSelfSigned, isAuthority, names, keyUsage, extendedKeyUsage, mustStaple, ocspResponders } = factsOf(leaf)
  if (isSelfSigned) yield finding('SELF_SIGNED', `the certificate (${subjectOf(leaf)}) is self-signed: no client trusts it unless it is told to`, 'have it issued by an authority, or use developmentCertificate() while developing')
  else if (isAuthority) yield finding('LEAF_IS_AUTHORITY', `the certificate (${subjectOf(leaf)}) is an authority's: whoever gets its key can issue others`, 'have a certificate of the server\'s own issued')
  if (Object.values(names).every(list => list.length === 0)) yield finding('NO_SUBJECT_ALT_NAME', `the certificate (${subjectOf(leaf)}) has no subjectAltName, and browsers look at nothing else`, 'have it issued anew with its names there')
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.some(use => use === serverAuth || use === anyExtendedKeyUsage)) {
    yield finding('NO_SERVER_AUTH', `the certificate (${subjectOf(leaf)}) is not for servers: its extended key usage lacks serverAuth`, 'have it issued for a server')
  }
  if (keyUsage !== undefined && !keyUsage.has('digitalSignature')) {
    yield finding('KEY_USAGE', `the certificate (${subjectOf(leaf)}) may not sign: its key usage lacks digitalSignature, without which no TLS 1.3 and no ECDHE is possible`, 'have it issued with digitalSignature')
  }
  if (mustStaple && ocspResponders.length === 0) {
    yield finding('MUST_STAPLE', `the certificate (${subjectOf(leaf)}) demands a stapled OCSP response and names no responder`, 'have it issued anew without must-staple')
  } else if (mustStaple && !rest.some(candidate => leaf.checkIssued(candidate))) {
    yield finding('MUST_STAPLE', `the certificate (${subjectOf(leaf)}) demands a stapled OCSP response, and without its issuer's certificate in the chain none can be asked for`, 'append the certificate of its issuer')
  }
}

function * hostFindings (leaf: X509Certificate, hosts: readonly string[]): Generator<Finding> {
  for (const host of hosts.filter(host => !isCovered(leaf, host))) {
    const { dns, ip } = factsOf(leaf).names
    yield finding('HOST_MISMATCH', `the certificate (${subjectOf(leaf)}) does not cover ${host}; it covers ${[...dns, ...ip].join(', ') || 'no name'}`, 'give the certificate of that name, or have it issued anew with it')
  }
}

/** Whether a client that asks for `host` takes the certificate; its common name does not count. */
export function isCovered (leaf: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return leaf.checkIP(host) !== undefined
  if (host.startsWith('*.')) return factsOf(leaf).names.dns.some(name => name.toLowerCase() === host.toLowerCase())
  return leaf.checkHost(host, { subject: 'never' }) !== undefined
}

function isIssuedBy (certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && isSignedBy(certificate, issuer)
}

/** The end of the chain as a client builds it from the leaf, whatever the order. */
function topOf (chain: Identity['chain']): X509Certificate {
  let [top] = chain
  for (let left = chain.length; left > 0; left--) {
    const issuer = chain.find(candidate => candidate !== top && isIssuedBy(top, candidate))
    if (issuer === undefined || factsOf(top).isSelfSigned) break
    top = issuer
  }
  return top
}

export function subjectOf (certificate: X509Certificate): string {
  return textOfName(factsOf(certificate).subject)
}

export function validityOf (certificate: X509Certificate): { validFrom: Date, validTo: Date } {
  const { validFrom, validTo } = factsOf(certificate)
  return { validFrom, validTo }
}
