import type { ProtocolName } from './client-hello.js'
import { scoreBelow, type Rule, type Scores } from './rating.js'
import type { Scan } from './scan.js'
import type { Suite } from './suite.js'
import type { CertificateScan, TrustFault } from './trust.js'

/** What both rulesets count alike: the guide's protocol scores, and its caps. */

const protocolScores: Readonly<Record<ProtocolName, number>> = { SSLv2: 0, SSLv3: 80, TLSv1: 90, 'TLSv1.1': 95, 'TLSv1.2': 100, 'TLSv1.3': 100 }

export function protocolScore ({ protocols }: Scan): number {
  const scores = [...protocols.keys()].map(protocol => protocolScores[protocol])
  return (Math.max(...scores) + Math.min(...scores)) / 2
}

const cipherSteps = [[1, 0], [128, 20], [256, 80]] as const

/** @param bitsOf the size that the ruleset gives a suite's cipher */
export function cipherScore (scan: Scan, bitsOf: (suite: Suite) => number): number {
  const scores = suitesOf(scan).map(suite => scoreBelow(bitsOf(suite), cipherSteps))
  return scores.length === 0 ? 0 : (Math.max(...scores) + Math.min(...scores)) / 2
}

export function suitesOf ({ protocols }: Scan): Suite[] {
  return [...protocols.values()].flatMap(({ suites }) => suites)
}

/** Effective bits: triple DES is worth 112. */
export function strengthOf ({ name, bits }: Suite): number {
  return /3DES|EDE3/.test(name) ? 112 : bits
}

const modern: readonly ProtocolName[] = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3']

function listed (suites: readonly Suite[], what: string): string | false {
  const names = [...new Set(suites.map(({ name }) => name))]
  return names.length > 0 && `${what}: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`
}

function within (scan: Scan, protocols: readonly ProtocolName[], pattern: RegExp): Suite[] {
  return protocols.flatMap(protocol => scan.protocols.get(protocol)?.suites ?? []).filter(({ name }) => pattern.test(name))
}

const certificateWith = (scan: Scan, isSo: (certificate: CertificateScan) => boolean): CertificateScan | undefined => scan.certificates.find(isSo)

const untrusted: ReadonlyArray<readonly [fault: TrustFault, text: string]> = [
  ['self-signed', 'is self-signed'],
  ['untrusted', 'leads to a root that is not trusted'],
  ['expired', 'or one of its chain has expired'],
  ['not yet valid', 'is not valid yet'],
  ['revoked', 'is revoked'],
  ['weak signature', 'or one of its chain is signed with SHA-1 or MD5'],
  ['not an authority', 'was issued by a certificate that is no authority\'s'],
  ['not for servers', 'is not for servers'],
]

/** The caps of the guide (sections "Protocol Support" to "Changes"), 2009r. */
export const caps: readonly Rule[] = [
  { effect: 'cap', grade: 'F', code: 'SSLV2', applies: ({ protocols }) => protocols.has('SSLv2') && 'SSL 2.0 is offered' },
  { effect: 'cap', grade: 'F', code: 'SSLV3_ONLY', applies: ({ protocols }) => [...protocols.keys()].every(protocol => protocol === 'SSLv3') && 'nothing newer than SSL 3.0 is offered' },
  { effect: 'cap', grade: 'F', code: 'ANONYMOUS', applies: scan => listed(suitesOf(scan).filter(({ keyExchange }) => keyExchange === 'anonymous'), 'suites without authentication are offered') },
  { effect: 'cap', grade: 'F', code: 'WEAK_CIPHER', applies: scan => listed(suitesOf(scan).filter(suite => suite.isExport || strengthOf(suite) < 112), 'suites of less than 112 bits are offered') },
  { effect: 'cap', grade: 'F', code: 'WEAK_KEY', applies: scan => describe(certificateWith(scan, ({ keyType, keyBits }) => isRsa(keyType) && keyBits < 1024), 'has a key of less than 1024 bits') },
  { effect: 'cap', grade: 'F', code: 'MD5_SIGNATURE', applies: scan => describe(certificateWith(scan, ({ signatureAlgorithm }) => /^md[25]/.test(signatureAlgorithm)), 'is signed with MD5 or MD2') },
  { effect: 'cap', grade: 'C', code: 'NO_TLS12', applies: ({ protocols }) => !protocols.has('TLSv1.2') && !protocols.has('TLSv1.3') && 'TLS 1.2 is not offered' },
  { effect: 'cap', grade: 'C', code: 'RC4_MODERN', applies: scan => listed(within(scan, modern, /RC4/), 'RC4 is offered with TLS 1.1 or newer') },
  { effect: 'cap', grade: 'C', code: 'TRIPLE_DES_MODERN', applies: scan => listed(within(scan, modern, /3DES/), 'triple DES is offered with TLS 1.1 or newer') },
  { effect: 'cap', grade: 'C', code: 'CRIME', applies: ({ hasCompression }) => hasCompression && 'TLS compression is offered (CRIME)' },
  { effect: 'cap', grade: 'C', code: 'POODLE', applies: ({ protocols }) => protocols.get('SSLv3')?.suites.some(({ isBlockCipher }) => isBlockCipher) === true && 'SSL 3.0 is offered with CBC (POODLE)' },
  { effect: 'cap', grade: 'B', code: 'SSLV3', applies: ({ protocols }) => protocols.has('SSLv3') && 'SSL 3.0 is offered' },
  { effect: 'cap', grade: 'B', code: 'TLS10', applies: ({ protocols }) => protocols.has('TLSv1') && 'TLS 1.0 is offered' },
  { effect: 'cap', grade: 'B', code: 'TLS11', applies: ({ protocols }) => protocols.has('TLSv1.1') && 'TLS 1.1 is offered' },
  { effect: 'cap', grade: 'B', code: 'RC4', applies: scan => listed(suitesOf(scan).filter(({ name }) => /RC4/.test(name)), 'RC4 is offered') },
  { effect: 'cap', grade: 'B', code: 'SMALL_KEY', applies: scan => describe(certificateWith(scan, ({ keyType, keyBits }) => isRsa(keyType) && keyBits < 2048), 'has a key of less than 2048 bits') },
  { effect: 'cap', grade: 'B', code: 'SMALL_PRIME', applies: ({ primeBits = Infinity }) => primeBits < 2048 && `Diffie-Hellman parameters have ${primeBits} bits` },
  { effect: 'cap', grade: 'B', code: 'NO_FORWARD_SECRECY', applies: scan => !suitesOf(scan).some(({ hasForwardSecrecy }) => hasForwardSecrecy) && 'no suite has forward secrecy' },
  { effect: 'cap', grade: 'B', code: 'NO_AEAD', applies: scan => !suitesOf(scan).some(({ isAead }) => isAead) && 'no suite authenticates what it encrypts (AEAD)' },
  { effect: 'warning', grade: 'A-', code: 'NO_TLS13', applies: ({ protocols }) => !protocols.has('TLSv1.3') && 'TLS 1.3 is not offered' },
  { effect: 'warning', grade: 'A-', code: 'NO_SECURE_RENEGOTIATION', applies: ({ hasSecureRenegotiation }) => hasSecureRenegotiation === false && 'secure renegotiation is not supported' },
  { effect: 'cap', grade: 'M', code: 'NAME_MISMATCH', applies: scan => describe(certificateWith(scan, ({ hasName }) => hasName === false), 'does not cover the name that was asked for') },
  { effect: 'cap', grade: 'T', code: 'CERTIFICATE_UNREADABLE', applies: scan => scan.certificates.length === 0 && suitesOf(scan).some(({ authentication }) => authentication !== 'none' && authentication !== 'PSK') && 'no certificate was shown that can be read' },
  ...untrusted.map(([fault, text]): Rule => ({ effect: 'cap', grade: 'T', code: `CERTIFICATE_${fault.toUpperCase().replaceAll(/[ -]/g, '_')}`, applies: scan => describe(certificateWith(scan, ({ faults }) => faults.includes(fault)), text) })),
]

export function describe (certificate: CertificateScan | undefined, text: string): string | false {
  return certificate !== undefined && `the certificate (${certificate.subject}, ${certificate.keyType} ${certificate.keyBits}) ${text}`
}

export function isRsa (keyType: string): boolean {
  return keyType.startsWith('rsa') || keyType === 'dsa'
}

/** In s; `undefined` where the header has none that counts (RFC 6797 section 6.1). */
export function maxAgeOf (header: string): number | undefined {
  const value = /(?:^|;)\s*max-age\s*=\s*"?(\d+)"?\s*(?:;|$)/i.exec(header)?.[1]
  return value === undefined ? undefined : Number(value)
}

const day = 86_400

/** 6 months and 180 days, as the two count. */
export const shortestHsts = 180 * day

/** A header that is there and turns HSTS off, or says nothing. */
export const hstsInvalid: Rule = {
  effect: 'warning',
  grade: 'A-',
  code: 'HSTS_INVALID',
  applies: ({ strictTransportSecurity: header }) => typeof header === 'string' && (maxAgeOf(header) ?? 0) === 0 && `HSTS is invalid or disabled (${JSON.stringify(header.slice(0, 80))})`,
}

export type PartialScores = Omit<Scores, 'total'>
