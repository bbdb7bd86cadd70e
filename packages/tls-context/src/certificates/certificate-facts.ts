import type { X509Certificate } from 'node:crypto'
import { createHash } from 'node:crypto'
import { SocketAddress } from 'node:net'
import { DerError, itemOf, itemsOf, readDer, readObjectIdentifier, readTime, type DerValue } from './der-read.js'
import { readDistinguishedName, type NameAttribute } from './distinguished-name.js'

/** What Node's `X509Certificate` does not tell, or not on every version, or only as one text. RFC 5280. */
export interface CertificateFacts {
  readonly subject: readonly NameAttribute[]
  readonly issuer: readonly NameAttribute[]
  /** X.509 version: 1 to 3. */
  readonly version: number
  readonly validFrom: Date
  readonly validTo: Date
  /** Such as `sha256WithRSAEncryption`; a dotted identifier where it is not known. */
  readonly signatureAlgorithm: string
  readonly names: AlternativeNames
  readonly isAuthority: boolean
  readonly isSelfSigned: boolean
  /** `undefined`: any use. */
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined
  /** Object identifiers; `undefined`: any use. */
  readonly extendedKeyUsage: readonly string[] | undefined
  /** URLs of authorityInfoAccess. */
  readonly ocspResponders: readonly string[]
  readonly issuerUrls: readonly string[]
  readonly crlUrls: readonly string[]
  /** The TLS feature extension asks for a stapled OCSP response (RFC 7633). */
  readonly mustStaple: boolean
  /** SHA-256 of the SubjectPublicKeyInfo in base64 (RFC 7469 section 2.4). */
  readonly spki: string
}

/** The subjectAltName, each kind in its order. */
export interface AlternativeNames {
  readonly dns: readonly string[]
  readonly ip: readonly string[]
  readonly uri: readonly string[]
  readonly email: readonly string[]
}

const keyUsages = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement', 'keyCertSign', 'cRLSign'] as const
export type KeyUsage = typeof keyUsages[number]

/** @see https://www.rfc-editor.org/rfc/rfc8017 and RFC 5758, RFC 8410 */
const signatureAlgorithms: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'md2WithRSAEncryption',
  '1.2.840.113549.1.1.4': 'md5WithRSAEncryption',
  '1.2.840.113549.1.1.5': 'sha1WithRSAEncryption',
  '1.2.840.113549.1.1.10': 'rsassaPss',
  '1.2.840.113549.1.1.11': 'sha256WithRSAEncryption',
  '1.2.840.113549.1.1.12': 'sha384WithRSAEncryption',
  '1.2.840.113549.1.1.13': 'sha512WithRSAEncryption',
  '1.2.840.113549.1.1.14': 'sha224WithRSAEncryption',
  '1.2.840.10040.4.3': 'dsaWithSha1',
  '1.2.840.10045.4.1': 'ecdsaWithSha1',
  '1.2.840.10045.4.3.1': 'ecdsaWithSha224',
  '1.2.840.10045.4.3.2': 'ecdsaWithSha256',
  '1.2.840.10045.4.3.3': 'ecdsaWithSha384',
  '1.2.840.10045.4.3.4': 'ecdsaWithSha512',
  '1.3.101.112': 'ed25519',
  '1.3.101.113': 'ed448',
  '2.16.840.1.101.3.4.3.17': 'mldsa44',
  '2.16.840.1.101.3.4.3.18': 'mldsa65',
  '2.16.840.1.101.3.4.3.19': 'mldsa87',
}

const ocsp = '1.3.6.1.5.5.7.48.1'
const caIssuers = '1.3.6.1.5.5.7.48.2'
const statusRequest = 5

const known = new WeakMap<X509Certificate, CertificateFacts>()

/** Throws `DerError` for a certificate that OpenSSL has let pass although one of the extensions that count here is damaged. */
export function factsOf (certificate: X509Certificate): CertificateFacts {
  const facts = known.get(certificate) ?? readFacts(certificate)
  known.set(certificate, facts)
  return facts
}

export function isReadable (certificate: X509Certificate): boolean {
  try {
    factsOf(certificate)
    return true
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

function readFacts (certificate: X509Certificate): CertificateFacts {
  const whole = readDer(certificate.raw)
  const fields = itemsOf(itemOf(whole, 0))
  const hasVersion = fields[0]?.tag === 0xa0
  const [, , issuer, validity, subject, publicKeyInfo] = hasVersion ? fields.slice(1) : fields
  if (issuer === undefined || validity === undefined || subject === undefined || publicKeyInfo === undefined) throw new DerError('a certificate lacks fields')
  const extension = extensionsOf(fields.find(({ tag }) => tag === 0xa3))
  const names = alternativeNames(extension('2.5.29.17'))
  const basicConstraints = extension('2.5.29.19')
  const extendedKeyUsage = extension('2.5.29.37')
  const features = extension('1.3.6.1.5.5.7.1.24')
  const access = accessDescriptions(extension('1.3.6.1.5.5.7.1.1'))
  const algorithm = readObjectIdentifier(itemOf(itemOf(whole, 1), 0))
  return {
    subject: readDistinguishedName(subject),
    issuer: readDistinguishedName(issuer),
    version: hasVersion ? (itemOf(fields[0] as DerValue, 0).content[0] ?? 0) + 1 : 1,
    validFrom: readTime(itemOf(validity, 0)),
    validTo: readTime(itemOf(validity, 1)),
    signatureAlgorithm: signatureAlgorithms[algorithm] ?? algorithm,
    names,
    isAuthority: basicConstraints !== undefined && isTrue(itemsOf(basicConstraints)[0]),
    isSelfSigned: subject.raw.equals(issuer.raw) && isSignedBy(certificate, certificate),
    keyUsage: keyUsageOf(extension('2.5.29.15')),
    extendedKeyUsage: extendedKeyUsage && itemsOf(extendedKeyUsage).map(readObjectIdentifier),
    ocspResponders: access.filter(({ method }) => method === ocsp).map(({ url }) => url),
    issuerUrls: access.filter(({ method }) => method === caIssuers).map(({ url }) => url),
    crlUrls: distributionPoints(extension('2.5.29.31')),
    mustStaple: features !== undefined && itemsOf(features).some(({ content }) => content.at(-1) === statusRequest),
    spki: createHash('sha256').update(publicKeyInfo.raw).digest('base64'),
  }
}

/** Node throws where the key is of another kind than the signature, or of one that it does not know. */
export function isSignedBy (certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** Gives the value of an extension by its identifier. What nobody asks for is not looked into: it may be of any form. */
function extensionsOf (wrapped: DerValue | undefined): (identifier: string) => DerValue | undefined {
  const values = new Map(wrapped === undefined
    ? []
    : itemsOf(itemOf(wrapped, 0)).map(extension => {
      const items = itemsOf(extension)
      const [identifier] = items
      const value = items.at(-1)
      if (identifier === undefined || value === undefined) throw new DerError('an extension lacks its value')
      return [readObjectIdentifier(identifier), value.content] as const
    }))
  return identifier => {
    const value = values.get(identifier)
    return value && readDer(value)
  }
}

function isTrue (value: DerValue | undefined): boolean {
  return value?.tag === 0x01 && value.content[0] !== 0
}

function alternativeNames (extension: DerValue | undefined): AlternativeNames {
  const items = extension === undefined ? [] : itemsOf(extension)
  const texts = (tag: number) => items.filter(item => item.tag === tag).map(({ content }) => content.toString('latin1'))
  return {
    email: texts(0x81),
    dns: texts(0x82),
    uri: texts(0x86),
    ip: items.filter(({ tag }) => tag === 0x87).map(({ content }) => addressText(content)),
  }
}

function addressText (bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = bytes.toString('hex').match(/.{4}/g) ?? []
  return bytes.length === 16 ? new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address : bytes.toString('hex')
}

function keyUsageOf (extension: DerValue | undefined): ReadonlySet<KeyUsage> | undefined {
  if (extension === undefined) return undefined
  const bits = extension.content[1] ?? 0
  return new Set(keyUsages.filter((_usage, bit) => (bits & (0x80 >> bit)) !== 0))
}

function accessDescriptions (extension: DerValue | undefined): Array<{ method: string, url: string }> {
  if (extension === undefined) return []
  return itemsOf(extension).flatMap(description => {
    const [method, location] = itemsOf(description)
    return method !== undefined && location?.tag === 0x86 ? [{ method: readObjectIdentifier(method), url: location.content.toString('latin1') }] : []
  })
}

function distributionPoints (extension: DerValue | undefined): string[] {
  if (extension === undefined) return []
  return itemsOf(extension)
    .flatMap(itemsOf).filter(({ tag }) => tag === 0xa0)
    .flatMap(itemsOf).filter(({ tag }) => tag === 0xa0)
    .flatMap(itemsOf).filter(({ tag }) => tag === 0x86)
    .map(({ content }) => content.toString('latin1'))
}

/** The kind of a key, as OpenSSL keeps one certificate of each kind, and its size in bits. */
export function keyOf ({ publicKey }: X509Certificate): { type: string, bits: number, curve: string | undefined } {
  const type = publicKey.asymmetricKeyType ?? 'unknown'
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {}
  const bits = modulusLength ?? curveBits[namedCurve ?? type] ?? 0
  return { type, bits, curve: namedCurve }
}

const curveBits: Readonly<Record<string, number>> = {
  prime192v1: 192,
  secp224r1: 224,
  prime256v1: 256,
  secp256k1: 256,
  secp384r1: 384,
  secp521r1: 521,
  brainpoolP256r1: 256,
  brainpoolP384r1: 384,
  brainpoolP512r1: 512,
  ed25519: 256,
  ed448: 448,
}
