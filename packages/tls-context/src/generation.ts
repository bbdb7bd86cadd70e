import { createSecureContext, type SecureContext } from 'node:tls'
import type { X509Certificate } from 'node:crypto'
import { factsOf, keyOf } from './certificates/certificate-facts.js'
import { loadClientTrust, validateClientTrust, type ClientTrust } from './certificates/client-trust.js'
import { finding, type Finding } from './certificates/finding.js'
import { parseIdentity, readIdentity, type CertificateSource, type Identity } from './certificates/load.js'
import { subjectOf, validateIdentity } from './certificates/validate.js'
import { profileFindings } from './custom-profile.js'
import { diffieHellmanBits, readDiffieHellman } from './diffie-hellman.js'
import { errorOf, systemCode, tlsContextError } from './errors.js'
import { pskCiphers } from './psk.js'
import { runtimeAdvisories, servesOtherKeyTypes } from './runtime-advisories.js'
import { sessionIdContext, type Settings } from './settings.js'
import { NameMap } from './sni.js'
import { ticketFindings } from './tickets.js'

/** One certificate with what was made of it, kept as long as its bytes stay the same. */
interface Served {
  readonly identity: Identity
  readonly digest: string
  readonly findings: readonly Finding[]
  /** Of a name. */
  readonly secureContext?: SecureContext
}

/** All that serves at one time; a reload replaces it as a whole. */
export interface Generation {
  readonly defaults: readonly Served[]
  readonly names: ReadonlyMap<string, Served & { readonly secureContext: SecureContext }>
  readonly contexts: NameMap<SecureContext>
  readonly trust: ClientTrust | undefined
  readonly secureOptions: SharedOptions
  /** For the certificates of names and partial chains: what Node takes from a default context is without the latter. */
  readonly defaultContext: SecureContext
  readonly findings: readonly Finding[]
  readonly paths: readonly string[]
  /** Names, and `default`, whose certificate is another one than before. */
  readonly changed: readonly string[]
  /** Whether all else that a listener is given is the same too. */
  readonly hasSamePolicy: boolean
}

/** What every context of a listener has in common. */
export type SharedOptions = ReturnType<typeof sharedOptions>

/**
 * Reads, checks and builds everything; what has not changed since `previous` is kept. Each `yield` is a place to let
 * others run.
 *
 * @param refuse gets what was found; default: throws the first error
 */
export function * buildGeneration (settings: Settings, previous?: Generation, refuse: (findings: Iterable<Finding>) => void = throwFirstError): Generator<undefined, Generation> {
  const { options, defaults: sources, names: nameSources, clientMode } = settings
  const now = new Date()
  const trust = clientMode === 'off' || options.client?.ca === undefined ? undefined : loadClientTrust({ ca: options.client.ca, ...options.client.crl !== undefined && { crl: options.client.crl } })
  refuse(trust === undefined ? [] : validateClientTrust(trust, now))
  const dhparam = options.dhparam === undefined ? undefined : readDiffieHellman(options.dhparam)
  refuse(dhparam === undefined ? [] : diffieHellmanFindings(dhparam.pem))
  const secureOptions = sharedOptions(settings, trust, dhparam?.pem)
  const isSamePolicy = previous !== undefined && isSame(previous.secureOptions, secureOptions)
  const changed: string[] = []

  const defaults = sources.map((source, index) => serve(source, sources.length > 1 ? `certificates[${index}].` : '', options.hosts ?? [], previous?.defaults[index]))
  refuse(defaults.flatMap(({ findings }) => findings))
  refuse(duplicateKeyTypes(defaults))
  if (defaults.some((served, index) => served !== previous?.defaults[index])) changed.push('default')
  const defaultContext = contextOf({ ...secureOptions, ...identityOptions(defaults.map(({ identity }) => identity)) }, defaults[0]?.identity.chain[0])
  yield

  const names = new Map<string, Served & { secureContext: SecureContext }>()
  const contexts = new NameMap<SecureContext>(options.unknownName === 'reject' ? ownNames(defaults).map(name => [name, defaultContext]) : [])
  const found = [...runtimeAdvisories(), ...profileFindings(settings.profile), ...ticketFindings(options.tickets ?? {}), ...defaults.flatMap(({ findings }) => findings)]
  const paths = new Set([...defaults.flatMap(({ identity }) => identity.paths), ...trust?.paths ?? [], ...dhparam?.path === undefined ? [] : [dhparam.path]])
  for (const [name, source] of nameSources) {
    const known = previous?.names.get(name)
    const served = serve(source, `names[${JSON.stringify(name)}].`, [name], known)
    const isKept = served === known && known !== undefined && isSamePolicy
    if (!isKept) {
      refuse(served.findings)
      refuse(sniKeyType(name, served, defaults))
      if (served !== known) changed.push(name)
      yield
    }
    const entry = isKept ? known : { ...served, secureContext: contextOf({ ...secureOptions, ...identityOptions([served.identity]) }, served.identity.chain[0]) }
    names.set(name, entry)
    contexts.set(name, entry.secureContext)
    found.push(...served.findings)
    for (const path of served.identity.paths) paths.add(path)
    yield
  }
  found.push(...trust === undefined ? [] : validateClientTrust(trust, now))
  return { defaults, names, contexts, trust, secureOptions, defaultContext, findings: found, paths: [...paths], changed, hasSamePolicy: isSamePolicy }

  function serve (source: CertificateSource, prefix: string, hosts: readonly string[], known: Served | undefined): Served {
    const read = readIdentity(source, prefix)
    if (known?.digest === read.digest) return known
    const identity = parseIdentity(read)
    const findings = validateIdentity(identity, { now, hosts })
    const mustStaple = options.ocsp === false && factsOf(identity.chain[0]).mustStaple
      ? [finding('MUST_STAPLE', `the certificate (${subjectOf(identity.chain[0])}) demands a stapled OCSP response, and option "ocsp" is false`, 'leave that option out')]
      : []
    return { identity, digest: read.digest, findings: [...findings, ...mustStaple] }
  }
}

function throwFirstError (findings: Iterable<Finding>): void {
  for (const found of findings) if (found.severity === 'error') throw errorOf(found)
}

function sharedOptions (settings: Settings, trust: ClientTrust | undefined, dhparam: string | undefined) {
  const { profile: { minVersion, maxVersion, ciphers, groups, signatureAlgorithms, honorCipherOrder }, isPskOnly, options } = settings
  const suites = isPskOnly ? pskCiphers : options.psk === undefined ? ciphers : [...new Set([...ciphers, ...pskCiphers])]
  return {
    minVersion,
    maxVersion,
    ciphers: suites.join(':'),
    ecdhCurve: groups.join(':'),
    honorCipherOrder,
    sessionIdContext: sessionIdContext(settings, trust?.digest),
    ...signatureAlgorithms !== undefined && { sigalgs: signatureAlgorithms.join(':') },
    ...dhparam !== undefined && { dhparam },
    // Of no authority where clients are not asked: OpenSSL would complete the chain from those that it has, and send roots.
    ca: [...trust?.caPem ?? []],
    ...trust !== undefined && trust.crlPem.length > 0 && { crl: [...trust.crlPem] },
    ...options.client?.allowPartialChain === true && { allowPartialTrustChain: true },
  }
}

/** All that are served. */
export function identitiesOf ({ defaults, names }: Generation): Identity[] {
  return [...defaults, ...names.values()].map(({ identity }) => identity)
}

/** What serves no longer when `next` does. */
export function retiredBy ({ defaults, names }: Generation, next: Generation): object[] {
  const isGone = (served: Served, follower: Served | undefined): boolean => served !== follower
  return [
    ...defaults.filter((served, index) => isGone(served, next.defaults[index])),
    ...[...names].filter(([name, served]) => isGone(served, next.names.get(name))).map(([, served]) => served),
  ]
}

export function identityOptions (identities: readonly Identity[]): { cert: string[], key: Array<{ pem: string, passphrase?: string }> } | Record<never, never> {
  if (identities.length === 0) return {}
  return {
    cert: identities.map(({ certPem }) => certPem),
    key: identities.map(({ keyPem, passphrase }) => ({ pem: keyPem, ...passphrase !== undefined && { passphrase } })),
  }
}

function contextOf (options: object, leaf: X509Certificate | undefined): SecureContext {
  try {
    return createSecureContext(options)
  } catch (error) {
    const whose = leaf === undefined ? '' : ` for ${subjectOf(leaf)}`
    throw tlsContextError('CONTEXT_REFUSED', `OpenSSL ${process.versions.openssl} refuses the certificate, key and client trust${whose} (${systemCode(error)}). Use an EC P-256 key, or RSA with 2048 bits or more, signed with SHA-256`)
  }
}

/** Names of the default certificate count as known where unknown ones are rejected. */
function ownNames (defaults: readonly Served[]): string[] {
  return defaults.flatMap(({ identity }) => factsOf(identity.chain[0]).names.dns)
}

function * duplicateKeyTypes (defaults: readonly Served[]): Generator<Finding> {
  const types = defaults.map(({ identity }) => keyOf(identity.chain[0]).type)
  const duplicate = types.find((type, index) => types.indexOf(type) !== index)
  if (duplicate !== undefined) yield finding('DUPLICATE_KEY_TYPE', `two of "certificates" have ${duplicate} keys, and OpenSSL serves the last of a kind alone`, 'give one of each kind, and others by their "names"')
}

function * sniKeyType (name: string, { identity }: Served, defaults: readonly Served[]): Generator<Finding> {
  if (servesOtherKeyTypes() || defaults.length === 0) return
  const { type } = keyOf(identity.chain[0])
  const defaultTypes = defaults.map(({ identity }) => keyOf(identity.chain[0]).type)
  if (defaultTypes.every(defaultType => defaultType === type)) return
  yield finding('SNI_KEY_TYPE', `the certificate of ${name} has a key of the kind ${type} and the default one of the kind ${defaultTypes.join(' and ')}: Node ${process.version} would serve the default one instead`, 'give both the same kind of key, or run Node 24.21, 26.10 or later')
}

function * diffieHellmanFindings (pem: string): Generator<Finding> {
  const bits = pem === 'auto' ? Infinity : diffieHellmanBits(pem)
  if (bits < 2048) yield finding('DH_TOO_SMALL', `the parameters in option "dhparam" have ${bits} bits, and 2048 are the least`, 'give "auto", or make them anew: openssl dhparam 2048')
}

function isSame (one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
