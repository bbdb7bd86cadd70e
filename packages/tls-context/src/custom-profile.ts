import { createSecureContext, getCiphers, type SecureContextOptions } from 'node:tls'
import { arrayOf, boolean, nearest, nested, oneOf, string, type Rule } from '@fastkeep/options'
import { finding, type Finding } from './certificates/finding.js'
import { tlsContextError } from './errors.js'
import { profiles, type Profile, type ProfileName } from './profiles.js'

/** A profile of one's own. What is not given is that of `base`. */
export interface CustomProfile extends Partial<Omit<Profile, 'source'>> {
  /** Default: `'intermediate'`. */
  readonly base?: ProfileName
}

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
const profileNames = Object.keys(profiles)

const customRules: Readonly<Record<string, Rule>> = {
  base: oneOf(profileNames),
  minVersion: oneOf(versions),
  maxVersion: oneOf(versions),
  ciphers: arrayOf(string('a cipher suite of OpenSSL')),
  groups: arrayOf(string('a key exchange group of OpenSSL')),
  signatureAlgorithms: arrayOf(string('a signature algorithm of OpenSSL')),
  honorCipherOrder: boolean,
}

/** The name of a profile, or an object. */
export function profileRule (profile: unknown): Rule {
  return typeof profile === 'object' ? nested(customRules) : oneOf(profileNames)
}

/** Such as `@SECLEVEL=0`, which TLS 1.0 and small keys need. */
const securityLevel = /^@SECLEVEL=[0-5]$/
const weakCipher = /NULL|RC4|DES|EXP|ADH|AECDH|MD5|SECLEVEL=0|(?<!GCM-|POLY1305|CCM8?)-?SHA$|-CBC|-SHA(256|384)$(?<!GCM-SHA256|GCM-SHA384)/
const staticKeyExchange = /^(AES|CAMELLIA|ARIA|RSA-|PSK-|DES|SEED|IDEA)/

/**
 * Throws `FST_KEEP_TLS_CONTEXT_` followed by `CIPHER_UNKNOWN`, `GROUP_UNKNOWN`, `SIGNATURE_ALGORITHM_UNKNOWN` or
 * `PROTOCOL_RANGE`, for the first name that OpenSSL does not know: beside one that it knows it would drop it in silence.
 */
export function resolveProfile (profile: ProfileName | CustomProfile | undefined): Profile {
  if (profile === undefined || typeof profile === 'string') return withSupportedGroups(profiles[profile ?? 'intermediate'])
  const { base = 'intermediate', ...own } = profile
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  const custom: Profile = { ...withSupportedGroups(profiles[base]), ...given, source: 'profile' }
  if (versions.indexOf(custom.minVersion) > versions.indexOf(custom.maxVersion)) {
    throw tlsContextError('PROTOCOL_RANGE', `option "profile.minVersion": ${custom.minVersion} is later than "maxVersion", ${custom.maxVersion}, so that no protocol would be left`)
  }
  refuseUnknown(own.ciphers, 'ciphers', 'CIPHER_UNKNOWN', isKnownCipher, () => getCiphers().map(name => name.toUpperCase()))
  refuseUnknown(own.groups, 'groups', 'GROUP_UNKNOWN', group => isAccepted({ ecdhCurve: group }), () => profiles.intermediate.groups)
  refuseUnknown(own.signatureAlgorithms, 'signatureAlgorithms', 'SIGNATURE_ALGORITHM_UNKNOWN', sigalgs => isAccepted({ sigalgs }), () => ['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256', 'ed25519'])
  return custom
}

function refuseUnknown (names: readonly string[] | undefined, key: string, what: 'CIPHER_UNKNOWN' | 'GROUP_UNKNOWN' | 'SIGNATURE_ALGORITHM_UNKNOWN', isKnown: (name: string) => boolean, candidates: () => readonly string[]): void {
  const unknown = names?.find(name => !isKnown(name))
  if (unknown === undefined) return
  const meant = nearest(unknown, candidates())
  throw tlsContextError(what, `option "profile.${key}": OpenSSL ${process.versions.openssl} of Node ${process.version} does not know ${JSON.stringify(unknown)}${meant === undefined ? '' : `, did you mean ${JSON.stringify(meant)}?`}`)
}

function isKnownCipher (name: string): boolean {
  return securityLevel.test(name) || getCiphers().includes(name.toLowerCase())
}

function withSupportedGroups (profile: Profile): Profile {
  return { ...profile, groups: profile.groups.filter(isSupportedGroup) }
}

const supportedGroups = new Map<string, boolean>()

/** Node 20 lacks the hybrid post-quantum groups and refuses a list that names one. */
function isSupportedGroup (group: string): boolean {
  const known = supportedGroups.get(group) ?? isAccepted({ ecdhCurve: group })
  supportedGroups.set(group, known)
  return known
}

function isAccepted (options: SecureContextOptions): boolean {
  try {
    createSecureContext(options)
    return true
  } catch {
    return false
  }
}

/** What a profile of one's own weakens. */
export function * profileFindings ({ minVersion, ciphers }: Profile): Generator<Finding> {
  if (minVersion === 'TLSv1' || minVersion === 'TLSv1.1') yield finding('PROTOCOL_DEPRECATED', `the profile offers ${minVersion}, which RFC 8996 forbids`, 'raise "profile.minVersion" to TLSv1.2')
  for (const cipher of ciphers.filter(isWeak)) yield finding('CIPHER_WEAK', `the profile offers ${cipher}, which RFC 9325 section 4.1 and 4.2 advise against`, 'leave it out; ECDHE with GCM or ChaCha20-Poly1305 suits every client of the last ten years')
}

function isWeak (cipher: string): boolean {
  return cipher !== 'DEFAULT' && !cipher.startsWith('TLS_') && (weakCipher.test(cipher) || staticKeyExchange.test(cipher))
}
