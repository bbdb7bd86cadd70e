import { createPrivateKey, hash, X509Certificate, type KeyObject } from 'node:crypto'
import { type Rule } from '@fastkeep/options'
import { systemCode, tlsContextError } from '../errors.js'
import { factsOf } from './certificate-facts.js'
import { DerError } from './der-read.js'
import { keyEncryptionOf, type KeyEncryption } from './key-encryption.js'
import { passphraseFile, passphraseRule, resolvePassphrase, type Passphrase } from './passphrase.js'
import { derOf, notPem, pemBlocks, pemOf, pemSource, readSource, type PemSource, type ReadSource } from './pem.js'
import { readPkcs12 } from './pkcs12.js'

/** Where a certificate and its key come from. */
export interface CertificateSource {
  /** The server's certificate and after it the intermediate ones that lead to the root; the key may stand there too. */
  cert?: PemSource
  /** The private key: PKCS#8, PKCS#1 or SEC 1, encrypted or not. Default: the one in `cert`. */
  key?: PemSource
  /** Intermediate certificates, where they are not in `cert`. */
  chain?: PemSource
  /** Certificate, chain and key in PKCS#12, in place of all three: a file path or its bytes. */
  pfx?: string | Uint8Array
  /** For an encrypted key or PKCS#12. */
  passphrase?: Passphrase
}

export const certificateSourceRules: Readonly<Record<keyof CertificateSource, Rule>> = {
  cert: pemSource,
  key: { ...pemSource, isSecret: true },
  chain: pemSource,
  pfx: { ...pemSource, expected: 'the path of a PKCS#12 file, or its bytes', isSecret: true },
  passphrase: passphraseRule,
}

/** A certificate that can be served: leaf, chain and key. */
export interface Identity {
  readonly chain: readonly [X509Certificate, ...X509Certificate[]]
  readonly certPem: string
  /** As it was given: an encrypted key stays encrypted. */
  readonly keyPem: string
  readonly passphrase: string | undefined
  readonly privateKey: KeyObject
  /** Absolute; the files that it was read from. */
  readonly paths: readonly string[]
  /** `undefined`: the key is no file, or another process has read it. */
  readonly keyFile: { readonly path: string, readonly mode: number } | undefined
  /** `undefined`: it is not encrypted. */
  readonly keyEncryption: KeyEncryption | undefined
}

/** The bytes of a source, before anything is made of them. */
export interface ReadIdentity {
  readonly source: CertificateSource
  readonly prefix: string
  readonly cert: ReadSource
  readonly chain: ReadSource | undefined
  readonly key: ReadSource
  /** SHA-256 of all bytes and of the mode of the key: where it is the same, so is all that follows. */
  readonly digest: string
}

/** @param prefix how the options are called in errors, such as `names["a.test"].` */
export function readIdentity (source: CertificateSource, prefix = ''): ReadIdentity {
  const { cert, key, chain, pfx } = source
  if (pfx !== undefined && (cert ?? key ?? chain) !== undefined) throw tlsContextError('CERTIFICATE_MISSING', `options "${prefix}pfx" and "cert", "key" or "chain" contradict each other: give one or the other`)
  if (pfx === undefined && cert === undefined) throw tlsContextError('CERTIFICATE_MISSING', `option "${prefix}cert" must be a file path, PEM text, or a Buffer of PEM text, and is missing; PKCS#12 is given as "${prefix}pfx"`)
  const certSource = readSource((pfx ?? cert) as PemSource, `${prefix}${pfx === undefined ? 'cert' : 'pfx'}`)
  const chainSource = chain === undefined ? undefined : readSource(chain, `${prefix}chain`)
  const keySource = key === undefined ? certSource : readSource(key, `${prefix}key`)
  const parts = [certSource, chainSource, keySource].flatMap(part => [Buffer.from(`${part?.bytes.length ?? -1} ${part?.mode ?? ''}\n`), part?.bytes ?? Buffer.alloc(0)])
  return { source, prefix, cert: certSource, chain: chainSource, key: keySource, digest: hash('sha256', Buffer.concat(parts), 'base64') }
}

export function parseIdentity ({ source, prefix, cert, chain, key }: ReadIdentity): Identity {
  if (source.pfx !== undefined) return fromPkcs12(cert, source.passphrase, prefix)
  const leaves = parsedCertificates(cert.bytes, `${prefix}cert`, cert.name)
  const rest = chain === undefined ? [] : parsedCertificates(chain.bytes, `${prefix}chain`, chain.name)
  const loaded = loadPrivateKey(Buffer.from(key.bytes).toString(), `${prefix}key`, key.name, source.passphrase, prefix)
  return {
    ...loaded,
    ...chained([...leaves, ...rest]),
    keyFile: keyFileOf(key),
    paths: existing(cert.path, chain?.path, key.path, passphraseFile(source.passphrase)),
  }
}

function chained (certificates: readonly X509Certificate[]): Pick<Identity, 'chain' | 'certPem'> {
  const [leaf, ...rest] = certificates
  if (leaf === undefined) throw new RangeError('no certificate')
  return { chain: [leaf, ...rest], certPem: certificates.map(({ raw }) => pemOf('CERTIFICATE', raw)).join('') }
}

/** One or more certificates in PEM; whatever else stands there is left out. */
export function parsedCertificates (bytes: Uint8Array, option: string, name: string): X509Certificate[] {
  const text = Buffer.from(bytes).toString()
  const blocks = pemBlocks(text).filter(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label))
  if (blocks.length === 0) throw notPem(option, name, 'CERTIFICATE', text)
  return blocks.map((block, index) => {
    try {
      const certificate = new X509Certificate(block.label === 'CERTIFICATE' ? derOf(block) : block.pem)
      factsOf(certificate)
      return certificate
    } catch (error) {
      throw tlsContextError('CERTIFICATE_INVALID', `option "${option}": certificate ${index + 1} of ${blocks.length} in ${name} is damaged (${error instanceof DerError ? error.message : systemCode(error)}). Copy it anew from where it was issued`)
    }
  })
}

function loadPrivateKey (text: string, option: string, name: string, given: Passphrase | undefined, prefix: string): Pick<Identity, 'keyPem' | 'privateKey' | 'passphrase' | 'keyEncryption'> {
  const block = pemBlocks(text).find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (block === undefined) throw notPem(option, name, 'PRIVATE KEY', text)

  // OpenSSL reports a missing passphrase and a wrong one alike.
  let keyEncryption: KeyEncryption | undefined
  try {
    keyEncryption = keyEncryptionOf(block)
  } catch {
    throw tlsContextError('KEY_INVALID', `option "${option}": the ${block.label} in ${name} is damaged. Copy it anew from where it was made`)
  }
  if (keyEncryption !== undefined && given === undefined) {
    throw tlsContextError('PASSPHRASE_MISSING', `option "${option}": the key in ${name} is encrypted. Give its passphrase as option "passphrase"`)
  }
  const passphrase = keyEncryption === undefined || given === undefined ? undefined : resolvePassphrase(given, `${prefix}passphrase`, name)
  try {
    return { keyPem: block.pem + '\n', passphrase, keyEncryption, privateKey: createPrivateKey({ key: block.pem, passphrase }) }
  } catch (error) {
    const code = systemCode(error)
    // About one wrong passphrase in 200 decrypts to something, which then fails as ERR_OSSL_UNSUPPORTED; a cipher that
    // OpenSSL 3 no longer has fails as ERR_OSSL_EVP_UNSUPPORTED.
    if (keyEncryption !== undefined && code !== 'ERR_OSSL_EVP_UNSUPPORTED') {
      throw tlsContextError('PASSPHRASE_WRONG', `option "passphrase" does not open the key in ${name} (${code}). Give the passphrase that the key was encrypted with`)
    }
    const encryption = keyEncryption === undefined ? '' : ` and is encrypted with ${keyEncryption.cipher}`
    throw tlsContextError('KEY_INVALID', `option "${option}": OpenSSL cannot read the ${block.label} in ${name} (${code}): it is damaged, or of a kind that is not supported${encryption}. Convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc`)
  }
}

function fromPkcs12 (source: ReadSource, given: Passphrase | undefined, prefix: string): Identity {
  const { bytes, name, path } = source
  const option = `${prefix}pfx`
  const passphrase = given === undefined ? undefined : resolvePassphrase(given, `${prefix}passphrase`, name)
  const { certificates, privateKey } = readPkcs12(bytes, passphrase, option, name)
  const leaf = certificates.find(certificate => certificate.checkPrivateKey(privateKey)) ?? certificates[0]
  if (leaf === undefined) throw tlsContextError('PFX_INVALID', `option "${option}": the PKCS#12 in ${name} holds no certificate. Export it with its certificates`)
  // The order of the bags means nothing.
  return {
    ...chained(inOrder(leaf, certificates.filter(certificate => certificate !== leaf))),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    passphrase: undefined,
    privateKey,
    keyEncryption: undefined,
    keyFile: keyFileOf(source),
    paths: existing(path, passphraseFile(given)),
  }
}

function keyFileOf ({ path, mode }: ReadSource): Identity['keyFile'] {
  return path === undefined || mode === undefined ? undefined : { path, mode }
}

function existing (...paths: ReadonlyArray<string | undefined>): string[] {
  return [...new Set(paths.filter(path => path !== undefined))]
}

function inOrder (leaf: X509Certificate, others: readonly X509Certificate[]): X509Certificate[] {
  const issuer = others.find(candidate => leaf.checkIssued(candidate))
  return issuer === undefined ? [leaf, ...others] : [leaf, ...inOrder(issuer, others.filter(other => other !== issuer))]
}
