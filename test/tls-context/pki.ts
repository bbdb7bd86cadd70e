import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import * as x509 from '@peculiar/x509'
import { type Test } from 'tap'

/** A certificate of the lab with its keys. */
export interface Issued {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
  readonly certPem: string
  readonly keyPem: string
}

export type KeyKind = 'P-256' | 'P-384' | 'RSA-1024' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096'

export interface Wish {
  /** Default: `CN=` and the first name. */
  readonly subject?: string
  readonly names?: readonly string[]
  readonly emails?: readonly string[]
  readonly uris?: readonly string[]
  readonly key?: KeyKind
  readonly hash?: 'SHA-1' | 'SHA-256' | 'SHA-384'
  /** Days from now. Default: -1 and 89. */
  readonly from?: number
  readonly to?: number
  readonly use?: 'server' | 'client' | 'ocsp' | 'any'
  readonly keyUsage?: number
  readonly ocsp?: string
  readonly issuerUrl?: string
  readonly mustStaple?: boolean
  /** Besides the usual ones. */
  readonly extensions?: readonly x509.Extension[]
  /** Default: 16 random bytes, as public authorities have them. */
  readonly serial?: string
}

const day = 86_400_000
const { subtle } = webcrypto

const largeKeys = new Map<KeyKind, Promise<webcrypto.CryptoKeyPair>>()

/** Large RSA keys take seconds to make, so that all certificates of a test file share one. */
async function newKeys (kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  if (kind !== 'RSA-3072' && kind !== 'RSA-4096') return await generated(kind)
  const keys = largeKeys.get(kind) ?? generated(kind)
  largeKeys.set(kind, keys)
  return await keys
}

async function generated (kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  return kind.startsWith('P-')
    ? await subtle.generateKey({ name: 'ECDSA', namedCurve: kind }, true, ['sign', 'verify'])
    : await subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', modulusLength: Number(kind.slice(4)), publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['sign', 'verify'])
}

async function issued (certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Issued> {
  const der = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return { certificate, keys, certPem: certificate.toString('pem') + '\n', keyPem: ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n') }
}

export function dates ({ from = -1, to = 89 }: Wish): { notBefore: Date, notAfter: Date } {
  return { notBefore: new Date(Date.now() + from * day), notAfter: new Date(Date.now() + to * day) }
}

function algorithmOf (keys: webcrypto.CryptoKeyPair, hash = 'SHA-256'): { name: string, hash: string } {
  return { name: keys.privateKey.algorithm.name, hash }
}

/** A root, or an intermediate one where an issuer is given. */
export async function authority (subject: string, { issuer, key = 'P-256', hash = 'SHA-256', ...wish }: Wish & { issuer?: Issued } = {}): Promise<Issued> {
  const keys = await newKeys(key)
  const signer = issuer?.keys ?? keys
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: wish.serial ?? serialNumber(),
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    ...dates({ to: 3650, ...wish }),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: algorithmOf(signer, hash),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return await issued(certificate, keys)
}

const uses = { server: [x509.ExtendedKeyUsage.serverAuth], client: [x509.ExtendedKeyUsage.clientAuth], ocsp: [x509.ExtendedKeyUsage.ocspSigning], any: [] }

/** A leaf; without an issuer a self-signed one. */
export async function leaf (issuer: Issued | undefined, wish: Wish = {}): Promise<Issued> {
  const { names = ['localhost', '127.0.0.1'], emails = [], uris = [], key = 'P-256', hash, use = 'server', keyUsage = x509.KeyUsageFlags.digitalSignature, ocsp, issuerUrl } = wish
  const keys = await newKeys(key)
  const signer = issuer?.keys ?? keys
  const subject = wish.subject ?? `CN=${names[0] ?? 'nobody'}`
  const alternative = [...names.map(value => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value })), ...emails.map(value => ({ type: 'email', value })), ...uris.map(value => ({ type: 'url', value }))] as x509.JsonGeneralNames
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: wish.serial ?? serialNumber(),
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    ...dates(wish),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: algorithmOf(signer, hash),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(keyUsage, true),
      ...uses[use].length > 0 ? [new x509.ExtendedKeyUsageExtension(uses[use])] : [],
      ...alternative.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternative)] : [],
      ...ocsp !== undefined || issuerUrl !== undefined ? [new x509.AuthorityInfoAccessExtension({ ...ocsp !== undefined && { ocsp }, ...issuerUrl !== undefined && { caIssuers: issuerUrl } })] : [],
      ...wish.extensions ?? [],
      ...wish.mustStaple === true ? [new x509.Extension('1.3.6.1.5.5.7.1.24', false, Buffer.from('3003020105', 'hex'))] : [],
      await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return await issued(certificate, keys)
}

/** A revocation list; `next` in days from now. */
export async function revocationList (issuer: Issued, revoked: readonly Issued[], next = 7): Promise<string> {
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subject,
    thisUpdate: new Date(Date.now() - 8 * day),
    nextUpdate: new Date(Date.now() + next * day),
    signingAlgorithm: algorithmOf(issuer.keys),
    signingKey: issuer.keys.privateKey,
    entries: revoked.map(({ certificate }) => ({ serialNumber: certificate.serialNumber, revocationDate: new Date(Date.now() - day) })),
  })
  return list.toString('pem') + '\n'
}

function serialNumber (): string {
  const bytes = randomBytes(16)
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f)
  return bytes.toString('hex')
}

/** Writes a certificate with its chain, and its key with mode 0600. */
export function files (t: Test, name: string, { certPem, keyPem }: Issued, ...chain: readonly Issued[]): { cert: string, key: string } {
  const directory = t.testdirName
  const paths = { cert: `${directory}/${name}.pem`, key: `${directory}/${name}.key` }
  writeFileSync(paths.cert, [certPem, ...chain.map(({ certPem }) => certPem)].join(''))
  writeFileSync(paths.key, keyPem, { mode: 0o600 })
  return paths
}

export { x509 }
