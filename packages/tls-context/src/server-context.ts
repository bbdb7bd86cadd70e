import { createSecureContext, type SecureVersion } from 'node:tls'
import type { X509Certificate } from 'node:crypto'
import { oneOf, secret, string } from '@fastkeep/options'
import { checkOptions, systemCode, tlsContextError } from './errors.js'
import { profiles, type Profile, type ProfileName } from './profiles.js'
import { namesOf } from './certificates/general-name.js'
import { loadCertificates, loadPrivateKey, pemSource, type PemSource } from './certificates/load.js'
import { subjectOf, validate, validityOf } from './certificates/validate.js'

export interface ServerContextOptions {
  /** The server's certificate and after it the intermediate ones that lead to the root. */
  cert: PemSource
  /** Its private key: PKCS#8, PKCS#1 or SEC 1, encrypted or not. */
  key: PemSource
  /** For an encrypted key. */
  passphrase?: string
  /** Default: `'intermediate'`. */
  profile?: ProfileName
}

/** What `Fastify({ https })`, `https.createServer`, `http2.createSecureServer` and `tls.createServer` take alike. */
export interface TlsServerOptions {
  cert: string
  key: string
  passphrase?: string
  minVersion: SecureVersion
  maxVersion: SecureVersion
  /** Cipher suites of TLS 1.3 and 1.2, separated by colons. */
  ciphers: string
  /** Key exchange groups, separated by colons. */
  ecdhCurve: string
  honorCipherOrder: boolean
  /** In ms. */
  handshakeTimeout: number
}

export interface CertificateDescription {
  /** Such as `CN=example.org`; empty where the certificate has none. */
  readonly subject: string
  /** DNS names and IP addresses of the subjectAltName, in its order. */
  readonly names: readonly string[]
  readonly validFrom: Date
  readonly validTo: Date
  /** SHA-256, in upper case hexadecimal pairs with colons. */
  readonly fingerprint256: string
}

export interface ServerContext {
  readonly options: TlsServerOptions
  /** The leaf: the certificate that the server shows as its own. */
  readonly certificate: CertificateDescription
}

const optionRules = {
  cert: pemSource,
  key: secret(pemSource),
  passphrase: secret(string()),
  profile: oneOf(Object.keys(profiles)),
}

const handshakeTimeout = 10_000

/**
 * Reads a certificate and its key, checks them, and makes of them and a profile the options of a TLS server.
 * Files are read once, synchronously, now.
 *
 * Throws errors with `exitCode` 78: `FST_KEEP_TLS_CONTEXT_` followed by `OPTION_UNKNOWN`, `OPTION_INVALID`,
 * `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `NOT_PEM`, `CERTIFICATE_INVALID`, `CERTIFICATE_EXPIRED`,
 * `CERTIFICATE_NOT_YET_VALID`, `LEAF_NOT_FIRST`, `KEY_INVALID`, `KEY_MISMATCH`, `PASSPHRASE_MISSING`,
 * `PASSPHRASE_WRONG`, or `CONTEXT_REFUSED` when OpenSSL refuses what passed all these.
 *
 * @see https://wiki.mozilla.org/Security/Server_Side_TLS
 * @example
 * const context = createServerContext({ cert: 'cert.pem', key: 'key.pem' })
 * const app = Fastify({ https: context.options })
 */
export function createServerContext (options: ServerContextOptions): ServerContext {
  // Required options: one that was not given is checked as null, since undefined passes.
  checkOptions({ ...options, cert: options.cert ?? null, key: options.key ?? null }, optionRules)
  const { pem: cert, chain } = loadCertificates(options.cert)
  const { pem: key, privateKey } = loadPrivateKey(options.key, options.passphrase)

  const [finding] = validate(chain, privateKey, new Date())
  if (finding !== undefined) throw tlsContextError(finding.code, `${finding.message}: ${finding.fix}`)

  const profile: Profile = profiles[options.profile ?? 'intermediate']
  const serverOptions: TlsServerOptions = {
    cert,
    key,
    ...(options.passphrase !== undefined && { passphrase: options.passphrase }),
    minVersion: profile.minVersion,
    maxVersion: profile.maxVersion,
    ciphers: profile.ciphers.join(':'),
    ecdhCurve: profile.groups.filter(isSupportedGroup).join(':'),
    honorCipherOrder: profile.honorCipherOrder,
    handshakeTimeout,
  }
  try {
    createSecureContext(serverOptions)
  } catch (error) {
    throw tlsContextError('CONTEXT_REFUSED', `OpenSSL ${process.versions.openssl} refuses the certificate and key for ${subjectOf(chain[0])} (${systemCode(error)}). Use an EC P-256 key, or RSA with 2048 bits or more`)
  }
  return { options: serverOptions, certificate: describe(chain[0]) }
}

/** Node 20 lacks the hybrid post-quantum groups and refuses a list that names one. */
function isSupportedGroup (group: string): boolean {
  try {
    createSecureContext({ ecdhCurve: group })
    return true
  } catch {
    return false
  }
}

function describe (leaf: X509Certificate): CertificateDescription {
  return {
    subject: subjectOf(leaf),
    names: namesOf(leaf),
    ...validityOf(leaf),
    fingerprint256: leaf.fingerprint256,
  }
}
