import { createHash } from 'node:crypto'
import { arrayOf, boolean, func, integer, nested, oneOf, type Rule } from '@fastkeep/options'
import { certificateSourceRules, type CertificateSource } from './certificates/load.js'
import { name } from './certificates/general-name.js'
import { pemSource, type PemSource } from './certificates/pem.js'
import { profileRule, resolveProfile, type CustomProfile } from './custom-profile.js'
import { checkOptions, tlsContextError } from './errors.js'
import type { AcmeResponder } from './acme.js'
import type { OcspOptions } from './ocsp/stapler.js'
import type { PeerVerify } from './peer/rules.js'
import { peerVerifyRule } from './peer/rules.js'
import type { PlainHttp } from './plain-http.js'
import { plainHttpRule } from './plain-http.js'
import { type Profile, type ProfileName } from './profiles.js'
import { pskRule, type PskOptions } from './psk.js'
import { normalName } from './sni.js'
import { ticketsRule, type TicketOptions } from './tickets.js'

export interface ServerContextOptions extends CertificateSource {
  /** Several certificates with keys of different kinds, such as EC and RSA, in place of the one. */
  certificates?: readonly CertificateSource[]
  /** Certificates by the name that a client asks for; `*.example.org` covers one label. */
  names?: Readonly<Record<string, CertificateSource>>
  /** What a client gets that asks for a name without a certificate: the default one, or a closed connection. Default: `'default'`. */
  unknownName?: 'default' | 'reject'
  /** Host names and addresses that the default certificate has to cover, or the start is refused. */
  hosts?: readonly string[]
  /** Default: `'intermediate'`. */
  profile?: ProfileName | CustomProfile
  /** Whether clients show certificates, and which are trusted. Default: they are not asked. */
  client?: ClientOptions
  /** `false`: none are issued. */
  tickets?: TicketOptions | false
  /** What a client gets that speaks HTTP without TLS. Default: `'refuse'`, a 400 that says so. */
  plainHttp?: PlainHttp
  /** Answers an ACME server that validates by tls-alpn-01 (RFC 8737). */
  acme?: AcmeResponder
  /** OCSP stapling, where a certificate names a responder. Default: `true`. */
  ocsp?: boolean | OcspOptions
  /** Pre-shared keys; without a certificate nothing else is accepted. */
  psk?: PskOptions
  /** For DHE suites of a custom profile: `'auto'`, or parameters in PEM of at least 2048 bits. */
  dhparam?: PemSource
  /** In ms: 1,000 to 120,000. Default: 10,000. */
  handshakeTimeout?: number
  /** Whether a change of the files is noticed while a server is attached. Default: `true`. */
  watch?: boolean
}

export interface ClientOptions {
  /**
   * `require`: a client without a certificate that is trusted gets no connection. `request`: it gets one, and each route
   * decides. Default: `'require'` where `ca` is given, else `'off'`.
   */
  mode?: 'off' | 'request' | 'require'
  /** The authorities whose clients are trusted; no other one is, not even a public one. */
  ca?: PemSource | readonly PemSource[]
  /** Revocation lists, one of each authority. */
  crl?: PemSource | readonly PemSource[]
  /** Lets an intermediate authority in `ca` be the end of a chain. For clients that send a server name. Default: `false`. */
  allowPartialChain?: boolean
  /** Asked for each connection, resumed ones too; who is refused is disconnected. */
  verify?: PeerVerify
}

/** The options, checked, with what follows from them and from nothing in a file. */
export interface Settings {
  readonly options: ServerContextOptions
  readonly profile: Profile
  readonly isPskOnly: boolean
  readonly defaults: readonly CertificateSource[]
  readonly names: ReadonlyMap<string, CertificateSource>
  readonly clientMode: 'off' | 'request' | 'require'
  readonly handshakeTimeout: number
  /** Of what a resumed session was decided by, but for the client trust. */
  readonly sessionPolicy: string
}

const pemSources: Rule = {
  expected: 'a file path, PEM text or a Buffer of it, or an array of these',
  accepts: value => pemSource.accepts(value) || arrayOf(pemSource).accepts(value),
}

const sniName = /^(\*\.)?(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i

/** Of a listener and not of a name: OpenSSL takes them from the first context of a connection. */
const listenerOptions = new Set(['ciphers', 'minVersion', 'maxVersion', 'groups', 'profile', 'signatureAlgorithms', 'honorCipherOrder', 'client', 'ca', 'crl', 'tickets'])

function rulesFor (options: ServerContextOptions): Record<keyof ServerContextOptions, Rule> {
  return {
    ...certificateSourceRules,
    certificates: { expected: 'an array, not empty, of objects with "cert" and "key"', accepts: value => Array.isArray(value) && value.length > 0 && value.every(isObject) },
    names: { expected: 'an object of host names', accepts: isObject },
    unknownName: oneOf(['default', 'reject']),
    hosts: arrayOf({ ...name, expected: 'a host name or IP address', accepts: value => name.accepts(value) || (typeof value === 'string' && value.startsWith('*.') && name.accepts(value.slice(2))) }),
    profile: profileRule(options.profile),
    client: nested({
      mode: oneOf(['off', 'request', 'require']),
      ca: pemSources,
      crl: pemSources,
      allowPartialChain: boolean,
      verify: peerVerifyRule((options.client as ClientOptions | undefined)?.verify),
    }),
    tickets: ticketsRule(options.tickets),
    plainHttp: plainHttpRule(options.plainHttp),
    acme: func,
    ocsp: typeof options.ocsp === 'object' ? nested({ timeout: integer(100, 60_000, 'ms') }) : boolean,
    psk: pskRule,
    dhparam: pemSource,
    handshakeTimeout: integer(1_000, 120_000, 'ms'),
    watch: boolean,
  }
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Throws errors of options, for the first that is wrong. */
export function resolveSettings (options: ServerContextOptions): Settings {
  checkOptions(options, rulesFor(options))
  const { certificates, names = {}, client, psk, cert, key, chain, pfx, passphrase } = options
  const single = { ...cert !== undefined && { cert }, ...key !== undefined && { key }, ...chain !== undefined && { chain }, ...pfx !== undefined && { pfx }, ...passphrase !== undefined && { passphrase } }
  const hasSingle = Object.keys(single).length > 0
  const isPskOnly = psk !== undefined && !hasSingle && certificates === undefined
  if (hasSingle && certificates !== undefined) throw tlsContextError('CERTIFICATE_MISSING', 'options "certificates" and "cert", "key", "chain", "pfx" or "passphrase" contradict each other: put all of them into "certificates"')
  if (psk !== undefined && typeof options.tickets === 'object') throw new checkOptions.OptionInvalid('tls-context: options "psk" and "tickets" contradict each other: with pre-shared keys none are issued, or a key that was taken back would go on opening connections')
  const defaults = isPskOnly ? [] : certificates ?? [single]
  defaults.forEach((source, index) => checkSource(source, defaults.length > 1 || certificates !== undefined ? `certificates[${index}]` : ''))
  const clientMode = client?.mode ?? (client?.ca === undefined ? 'off' : 'require')
  refuseContradictions(client, clientMode)
  return {
    options,
    profile: resolveProfile(options.profile),
    isPskOnly,
    defaults,
    names: checkedNames(names),
    clientMode,
    handshakeTimeout: options.handshakeTimeout ?? 10_000,
    sessionPolicy: JSON.stringify([options.tickets === false ? '' : options.tickets?.application ?? '', clientMode, client?.allowPartialChain === true]),
  }
}

function refuseContradictions (client: ClientOptions | undefined, mode: Settings['clientMode']): void {
  const { ca, crl, allowPartialChain, verify } = client ?? {}
  if (mode === 'off' && (ca ?? crl ?? allowPartialChain ?? verify) !== undefined) {
    throw new checkOptions.OptionInvalid('tls-context: option "client.mode" is "off", so that "ca", "crl", "allowPartialChain" and "verify" would do nothing. Set it to "request" or "require"')
  }
  // Else Node would take the public authorities: anybody can have a certificate of those.
  if (mode !== 'off' && ca === undefined) {
    throw tlsContextError('CLIENT_CA_EMPTY', `option "client.mode" is "${mode}" and "client.ca" is missing: give the certificate of the authority that issues the clients' certificates`)
  }
}

function checkedNames (names: Readonly<Record<string, CertificateSource>>): Map<string, CertificateSource> {
  const checked = new Map<string, CertificateSource>()
  for (const [given, source] of Object.entries(names)) {
    const option = `names[${JSON.stringify(given)}]`
    if (!sniName.test(given)) throw new checkOptions.OptionInvalid(`tls-context: option "${option}" must be called by a host name in ASCII, or "*." and one; a client asks for no address and no port`)
    const key = normalName(given)
    if (checked.has(key)) throw new checkOptions.OptionInvalid(`tls-context: option "${option}": the name is there twice, case and a final dot do not matter`)
    if (Array.isArray(source)) throw tlsContextError('NAME_OPTION_REFUSED', `option "${option}" holds several certificates, and Node serves the last one of a name alone. Give one, or make them the default ones with "certificates"`)
    const listenerOption = Object.keys(source ?? {}).find(key => listenerOptions.has(key))
    if (listenerOption !== undefined) throw tlsContextError('NAME_OPTION_REFUSED', `option "${option}.${listenerOption}": OpenSSL takes it from the listener and would not enforce it for a name. Set it for all names, or listen on another port`)
    checkSource(source, option)
    checked.set(key, source)
  }
  return checked
}

function checkSource (source: CertificateSource, option: string): void {
  if (option === '') return
  checkOptions({ [option]: source }, { [option]: nested(certificateSourceRules) })
}

/** At most the 32 bytes that OpenSSL takes. */
export function sessionIdContext ({ sessionPolicy }: Settings, trustDigest: string | undefined): string {
  return createHash('sha256').update(sessionPolicy).update(trustDigest ?? '').digest('hex').slice(0, 32)
}
