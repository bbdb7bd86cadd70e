import { X509Certificate } from 'node:crypto'
import { isReadable } from '../certificates/certificate-facts.js'
import type { ProtocolName } from './client-hello.js'
import { enumerateGroups, enumerateProtocol, wholeAnswers, type ProtocolScan, type Tls } from './enumerate.js'
import type { Group } from './groups.js'
import { observe } from './observe.js'
import { Prober, type Target } from './probe.js'
import { ssl2Suites, suiteByNumber, type Suite } from './suite.js'
import { scanCertificate, trustAnchors, type CertificateScan } from './trust.js'

/** All that was seen of a server; what it is worth, a ruleset says. */
export interface Scan {
  readonly protocols: ReadonlyMap<ProtocolName, { readonly suites: readonly Suite[], readonly hasServerPreference: boolean | undefined }>
  readonly groups: readonly Group[]
  /** Of the smallest prime of finite field Diffie-Hellman; `undefined` where there is none. */
  readonly primeBits: number | undefined
  readonly certificates: readonly CertificateScan[]
  /** RFC 5746; `undefined` where TLS 1.3 alone is spoken, which has no renegotiation. */
  readonly hasSecureRenegotiation: boolean | undefined
  /** RFC 7627; `undefined` likewise. */
  readonly hasExtendedMasterSecret: boolean | undefined
  readonly hasCompression: boolean
  readonly tickets: { readonly offered: boolean, /** In s. */ readonly lifetime: number | undefined } | undefined
  readonly hasStaple: boolean | undefined
  /** The header; `null` where it is not sent, `undefined` where no HTTP was spoken. */
  readonly strictTransportSecurity: string | null | undefined
  readonly connections: number
}

export interface ScanOptions {
  readonly target: Target
  /** The name that the certificate has to cover. */
  readonly name: string | undefined
  readonly ca: readonly X509Certificate[]
  readonly now: Date
}

const tlsVersions: readonly Tls[] = ['TLSv1.3', 'TLSv1.2', 'TLSv1.1', 'TLSv1', 'SSLv3']
const extensionTypes = { extendedMasterSecret: 23, renegotiationInfo: 0xff01 }

/** `undefined` where nothing of TLS or SSL was spoken. */
export async function scan ({ target, name, ca, now }: ScanOptions, prober = new Prober(target)): Promise<Scan | undefined> {
  const [observed, ssl2, ...scanned] = await Promise.all([
    observe(target),
    prober.askSsl2(ssl2Suites.map(({ number }) => number)),
    ...tlsVersions.map(async version => await enumerateProtocol(prober, version)),
  ])
  const spoken = tlsVersions.flatMap((version, index) => scanned[index] === undefined ? [] : [[version, scanned[index]] as const])
  if (spoken.length === 0 && ssl2 === undefined) return undefined

  const older = spoken.filter((entry): entry is [Exclude<Tls, 'TLSv1.3'>, ProtocolScan] => entry[0] !== 'TLSv1.3')
  const [whole, groups, byKind] = await Promise.all([
    Promise.all(older.map(async ([version, { suites }]) => await wholeAnswers(prober, version, suites))),
    Promise.all(spoken.filter(([version]) => version === 'TLSv1.3' || version === older[0]?.[0]).map(async ([version, { suites }]) => await enumerateGroups(prober, version, suites))),
    // Over TLS 1.3 the certificate is encrypted, so that a client of Node's has to look.
    older.length === 0 ? Promise.all((['EC', 'RSA'] as const).map(async kind => await observe(target, kind))) : [],
  ])
  const answers = whole.flat()
  const hellos = older.map(([, { hello }]) => hello)
  // SSL 2.0 sends the leaf alone, so that what the others send with it counts.
  const chains = [...ssl2 === undefined ? [] : [parsed(ssl2.certificate)], ...answers.map(({ certificates }) => certificates.flatMap(parsed)), ...byKind.flatMap(seen => seen === undefined ? [] : [seen.chain.filter(isReadable)])]
  const anchors = trustAnchors(ca)
  const certificates = new Map(chains.map(chain => [chain[0]?.fingerprint256 ?? '', chain]))
  const primes = answers.flatMap(({ primeBits }) => primeBits ?? [])
  return {
    protocols: new Map<ProtocolName, { suites: readonly Suite[], hasServerPreference: boolean | undefined }>([
      ...spoken.map(([version, { suites, hasServerPreference }]) => [version, { suites, hasServerPreference }] as const),
      ...ssl2 === undefined ? [] : [['SSLv2', { suites: ssl2.suites.map(suiteByNumber), hasServerPreference: undefined }] as const],
    ]),
    groups: [...new Map(groups.flat().map(group => [group.number, group])).values()],
    primeBits: primes.length === 0 ? undefined : Math.min(...primes),
    certificates: [...certificates.values()].flatMap(chain => scanCertificate(chain, anchors, name, now) ?? []),
    hasSecureRenegotiation: hellos.length === 0 ? undefined : hellos.every(({ extensions }) => extensions.has(extensionTypes.renegotiationInfo)),
    // SSL 3.0 has no extensions to say so in.
    hasExtendedMasterSecret: hellos.length === 0 ? undefined : older.every(([version, { hello }]) => version === 'SSLv3' || hello.extensions.has(extensionTypes.extendedMasterSecret)),
    hasCompression: hellos.some(({ compression }) => compression !== 0),
    tickets: observed && { offered: observed.hasTicket, lifetime: observed.ticketLifetime },
    hasStaple: observed?.hasStaple,
    strictTransportSecurity: observed?.strictTransportSecurity,
    connections: prober.connections + 1 + byKind.length,
  }
}

function parsed (der: Buffer): X509Certificate[] {
  try {
    return der.length === 0 ? [] : [new X509Certificate(der)].filter(isReadable)
  } catch {
    return []
  }
}
