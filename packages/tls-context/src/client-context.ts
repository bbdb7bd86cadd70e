import { X509Certificate } from 'node:crypto'
import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { checkServerIdentity, connect, createSecureContext, rootCertificates, type ConnectionOptions, type PeerCertificate as NodePeerCertificate, type TLSSocket } from 'node:tls'
import * as tls from 'node:tls'
import { emitWarning } from 'node:process'
import { arrayOf, boolean, integer, nested, string, type Rule } from '@fastkeep/options'
import { loadClientTrust } from './certificates/client-trust.js'
import { certificateSourceRules, parseIdentity, readIdentity, type CertificateSource } from './certificates/load.js'
import { pemSource, type PemSource } from './certificates/pem.js'
import { validateIdentity } from './certificates/validate.js'
import { profileRule, resolveProfile, type CustomProfile } from './custom-profile.js'
import { checkOptions, errorOf, tlsContextError } from './errors.js'
import { describePeer, peerCertificateOf, type PeerCertificate } from './peer/peer-certificate.js'
import { compileVerify, peerVerifyRule, type PeerVerify } from './peer/rules.js'
import type { ProfileName } from './profiles.js'
import { assertLongEnough, pskCiphers } from './psk.js'

export interface ClientContextOptions extends CertificateSource {
  /** Authorities to trust, in place of the public and the system's ones. */
  ca?: PemSource | readonly PemSource[]
  /** Trusts the system's authorities beside those that come with Node, where this Node can read them. Default: `true`. */
  systemAuthorities?: boolean
  /** Default: `'intermediate'`. */
  profile?: ProfileName | CustomProfile
  /**
   * SHA-256 of the SubjectPublicKeyInfo, in base64, of the server's certificate or of one in its chain; two at least, one
   * of them a backup that is not in use yet.
   */
  pins?: readonly string[]
  /** Days that the server's certificate must still be valid. Default: 0. */
  minimumDaysLeft?: number
  /** Asked of the server's certificate, besides its name. */
  verify?: PeerVerify
  /** In ms, for the connection, the handshake and the decision: 100 to 120,000. Default: 10,000. */
  handshakeTimeout?: number
  /** A pre-shared key, for servers that have no certificate. */
  psk?: { readonly identity: string, readonly key: Uint8Array }
}

export interface ClientContext {
  /** For `tls.connect` and what passes options on to it. An asynchronous `verify` is refused here: `connect` waits for it. */
  readonly options: ConnectionOptions
  /** A connection to a server that has passed all checks; rejects with what it failed. */
  connect (options: ConnectionOptions): Promise<TLSSocket>
  /** For `https.request` and what uses it. */
  agent (options?: AgentOptions): Agent
}

/** Findings that say nothing about a client's certificate. */
const ofServers: ReadonlySet<string> = new Set(['NO_SERVER_AUTH', 'MUST_STAPLE'])

const pin = string('the SHA-256 of a SubjectPublicKeyInfo in base64', /^[A-Za-z0-9+/]{43}=$/)

function rulesFor (options: ClientContextOptions): Record<keyof ClientContextOptions, Rule> {
  return {
    ...certificateSourceRules,
    ca: { expected: 'a file path, PEM text or a Buffer of it, or an array of these', accepts: value => pemSource.accepts(value) || arrayOf(pemSource).accepts(value) },
    systemAuthorities: boolean,
    profile: profileRule(options.profile),
    pins: { ...arrayOf(pin), expected: 'an array of two pins or more, one of them a backup', accepts: value => arrayOf(pin).accepts(value) && new Set(value as string[]).size >= 2 },
    minimumDaysLeft: integer(0, 3_650, 'days'),
    verify: peerVerifyRule(options.verify),
    handshakeTimeout: integer(100, 120_000, 'ms'),
    psk: nested({ identity: string(), key: { expected: 'bytes', isSecret: true, accepts: value => value instanceof Uint8Array } }),
  }
}

/**
 * How this program is a client: the server's name and chain are always checked, then pins, days left and rules.
 * Each connection is a full handshake, since Node checks no name on a resumed one.
 *
 * Throws errors of options and files as `createServerContext`, with `exitCode` 78. Connections fail with Node's errors of
 * certificates, or `FST_KEEP_TLS_CONTEXT_` followed by `PIN_MISMATCH`, `EXPIRES_TOO_SOON`, `PEER_REFUSED` or
 * `HANDSHAKE_TIMEOUT`.
 *
 * @example
 * const client = createClientContext({ ca: 'ca.pem', cert: 'client.pem', key: 'client.key' })
 * https.get('https://service.internal/', { agent: client.agent() })
 */
export function createClientContext (options: ClientContextOptions = {}): ClientContext {
  checkOptions(options, rulesFor(options))
  warnOfDisabledChecks()
  const { ca, psk, pins, minimumDaysLeft = 0, verify, handshakeTimeout = 10_000, cert, pfx } = options
  if (psk !== undefined) assertLongEnough(psk.key, psk.identity)
  const profile = resolveProfile(options.profile)
  const identity = cert === undefined && pfx === undefined ? undefined : parseIdentity(readIdentity(options))
  const fault = identity && validateIdentity(identity, { now: new Date(), hosts: [] }).find(({ code, severity }) => severity === 'error' && !ofServers.has(code))
  if (fault !== undefined) throw errorOf(fault)
  const secureContext = createSecureContext({
    minVersion: profile.minVersion,
    maxVersion: profile.maxVersion,
    ciphers: (psk === undefined ? profile.ciphers : ca === undefined ? pskCiphers : [...new Set([...profile.ciphers, ...pskCiphers])]).join(':'),
    ecdhCurve: profile.groups.join(':'),
    ca: authorities(options),
    ...profile.signatureAlgorithms !== undefined && { sigalgs: profile.signatureAlgorithms.join(':') },
    ...identity !== undefined && { cert: identity.certPem, key: identity.keyPem, ...identity.passphrase !== undefined && { passphrase: identity.passphrase } },
  })
  const decide = verify === undefined ? undefined : compileVerify(verify)
  const check = (certificate: NodePeerCertificate): Error | undefined => pinFault(pins, certificate) ?? daysFault(minimumDaysLeft, certificate)

  const common: ConnectionOptions = {
    secureContext,
    rejectUnauthorized: true,
    ...psk !== undefined && { pskCallback: () => ({ psk: psk.key, identity: psk.identity }) },
  }
  const hasNoCertificate = (certificate: NodePeerCertificate): boolean => psk !== undefined && certificate?.raw === undefined
  const identityFault = (host: string, certificate: NodePeerCertificate): Error | undefined => hasNoCertificate(certificate) ? undefined : checkServerIdentity(host, certificate) ?? check(certificate)

  return {
    options: {
      ...common,
      checkServerIdentity: (host, certificate) => {
        const fault = identityFault(host, certificate)
        if (fault !== undefined || decide === undefined || hasNoCertificate(certificate)) return fault
        const decision = decide(describePeer(new X509Certificate(certificate.raw), null))
        if (decision instanceof Promise) return tlsContextError('PEER_REFUSED', 'option "verify" is a function, whose answer tls.connect() cannot wait for. Use connect() or agent()')
        return decision === null ? undefined : refused(decision)
      },
    },
    connect: connectChecked,
    agent: agentOptions => new CheckedAgent(connectChecked, agentOptions),
  }

  async function connectChecked (connection: ConnectionOptions): Promise<TLSSocket> {
    const { session: _session, ...given } = connection
    const socket = connect({ ...given, ...common, checkServerIdentity: identityFault })
    const { failed, forget } = failureOf(socket)
    const tooLate = setTimeout(() => socket.destroy(tlsContextError('HANDSHAKE_TIMEOUT', `${given.host ?? 'the server'} did not come to a connection within ${handshakeTimeout} ms`)), handshakeTimeout)
    try {
      await Promise.race([new Promise(resolve => socket.once('secureConnect', resolve)), failed])
      const peer: PeerCertificate | null = decide === undefined ? null : peerCertificateOf(socket)
      const fault = peer === null || decide === undefined ? null : await Promise.race([decide(peer), failed])
      if (fault !== null) throw refused(fault)
      return socket
    } catch (error) {
      socket.on('error', () => {})
      socket.destroy()
      throw error
    } finally {
      clearTimeout(tooLate)
      forget()
    }
  }

  function authorities ({ systemAuthorities = true }: ClientContextOptions): string[] {
    if (ca !== undefined) return [...loadClientTrust({ ca }).caPem]
    const { getCACertificates } = tls as unknown as { getCACertificates?: (type: string) => string[] }
    const fromSystem = systemAuthorities ? getCACertificates?.('system') ?? [] : []
    return [...new Set([...rootCertificates, ...getCACertificates?.('extra') ?? [], ...fromSystem])]
  }
}

/** Rejects when the connection fails, as long as nobody else listens. */
function failureOf (socket: TLSSocket): { readonly failed: Promise<never>, forget (): void } {
  let forget = (): void => {}
  const failed = new Promise<never>((_resolve, reject) => {
    const onClose = (): void => { reject(new Error('the server closed the connection')) }
    socket.on('error', reject).on('close', onClose)
    forget = () => { socket.off('error', reject).off('close', onClose) }
  })
  return { failed, forget }
}

function refused (reason: string): Error {
  return tlsContextError('PEER_REFUSED', `the server's certificate is trusted and is not one of those that are allowed: ${reason}`)
}

/** The server's own certificate or one of its chain has to be pinned. */
function pinFault (pins: readonly string[] | undefined, certificate: NodePeerCertificate): Error | undefined {
  if (pins === undefined) return undefined
  const found: string[] = []
  let current = certificate as NodePeerCertificate & { issuerCertificate?: NodePeerCertificate }
  for (const seen = new Set<string>(); current?.raw !== undefined && !seen.has(current.fingerprint256); current = current.issuerCertificate as typeof current) {
    seen.add(current.fingerprint256)
    found.push(describePeer(new X509Certificate(current.raw), null).spki)
  }
  if (found.some(spki => pins.includes(spki))) return undefined
  return tlsContextError('PIN_MISMATCH', `no key of the server's chain is pinned (its own is ${found[0]}). If its operator has changed the key, add the new pin; if not, somebody else answered`)
}

const day = 86_400_000

function daysFault (minimum: number, certificate: NodePeerCertificate): Error | undefined {
  const days = (Date.parse(certificate.valid_to) - Date.now()) / day
  if (days >= minimum) return undefined
  return tlsContextError('EXPIRES_TOO_SOON', `the server's certificate expires in ${Math.floor(days)} days, and ${minimum} are asked for. Have its operator renew it`)
}

let hasWarned = false

/** Ours says what it checks; whatever else in this process makes connections checks nothing with that variable. */
function warnOfDisabledChecks (): void {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0' || hasWarned) return
  hasWarned = true
  emitWarning('NODE_TLS_REJECT_UNAUTHORIZED is 0: every other TLS client of this process talks to whoever answers. Connections of createClientContext() are checked all the same. Remove the variable', { type: 'SecurityWarning', code: 'FST_KEEP_TLS_CONTEXT_CHECKS_DISABLED' })
}

type Connector = ClientContext['connect']

/** Hands out connections when all checks have passed, and not before. */
class CheckedAgent extends Agent {
  readonly #connect: Connector

  constructor (connector: Connector, options: AgentOptions = {}) {
    super({ ...options, maxCachedSessions: 0 })
    this.#connect = connector
  }

  override createConnection (options: RequestOptions, callback?: (error: Error | null, socket: Duplex) => void): null {
    this.#connect({ ALPNProtocols: ['http/1.1'], ...options as ConnectionOptions }).then(
      socket => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never)
    )
    return null
  }
}
