import type { X509Certificate } from 'node:crypto'
import { isIP, type AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { arrayOf, integer, oneOf, string, type Rule } from '@fastkeep/options'
import { loadClientTrust } from '../certificates/client-trust.js'
import { name } from '../certificates/general-name.js'
import { pemSource, type PemSource } from '../certificates/pem.js'
import { checkOptions, tlsContextError } from '../errors.js'
import { registryDate } from './cipher-suites.js'
import { observe } from './observe.js'
import { Prober } from './probe.js'
import { rate, type Rating, type Ruleset } from './rating.js'
import { sslLabs } from './rules-ssllabs.js'
import { testssl } from './rules-testssl.js'
import { scan, type Scan } from './scan.js'
import type { Suite } from './suite.js'

export interface GradeOptions {
  /** Default: `'ssllabs-2009r'`. */
  ruleset?: Ruleset
  /** The name to ask for and to look for in the certificate. Default: the host. */
  servername?: string
  /** Roots that are trusted besides those that come with Node. */
  ca?: PemSource | readonly PemSource[]
  /** In ms, for each connection: 100 to 60,000. Default: 3,000. */
  timeout?: number
}

/** What was seen and what it is worth; JSON carries all of it. */
export interface GradeReport extends Rating, Omit<Scan, 'protocols'> {
  readonly host: string
  readonly port: number
  readonly servername: string | undefined
  /** From the newest to the oldest. */
  readonly protocols: ReadonlyArray<{ readonly name: string, readonly suites: readonly Suite[], readonly hasServerPreference: boolean | undefined }>
  /** In ms. */
  readonly duration: number
  /** What a full test by others looks at, and this does not. */
  readonly notProbed: readonly string[]
  /** Of the table of cipher suites. */
  readonly registryDate: string
}

const optionRules: Readonly<Record<keyof GradeOptions, Rule>> = {
  ruleset: oneOf(['ssllabs-2009r', 'testssl']),
  servername: { expected: 'a host name or an address', accepts: value => name.accepts(value) },
  ca: { expected: 'a file path, PEM text or a Buffer of it, or an array of these', accepts: value => pemSource.accepts(value) || arrayOf(pemSource).accepts(value) },
  timeout: integer(100, 60_000, 'ms'),
}

const rulesets = { 'ssllabs-2009r': sslLabs, testssl } as const

const notProbed = [
  'exploits (Heartbleed, CCS, ROBOT, Ticketbleed, DROWN, POODLE over TLS, Zombie and Golden POODLE)',
  'renegotiation that a client begins',
  'revocation of the certificates',
  'what browsers would agree on, one by one',
  'QUIC',
]

/**
 * Grades a TLS server that is yours, by raw ClientHellos of its own and one connection of Node's: some dozens of short
 * connections, and nothing else of the network.
 *
 * Rejects with `FST_KEEP_TLS_CONTEXT_` followed by `OPTION_UNKNOWN`, `OPTION_INVALID`, those of `ca`, or `SCAN_FAILED`
 * where nothing answers, or no TLS.
 *
 * @see https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide
 * @example
 * const { grade, scores, reasons } = await grade('localhost', 8443, { ca: 'certificates/ca.pem' })
 */
export async function grade (host: string, port = 443, options: GradeOptions = {}): Promise<GradeReport> {
  checkOptions({ host, port, ...options }, { ...optionRules, host: string('a host name or an address'), port: integer(1, 65_535, 'a port') })
  const { ruleset = 'ssllabs-2009r', servername = host, timeout = 3_000 } = options
  const start = performance.now()
  const ca: readonly X509Certificate[] = options.ca === undefined ? [] : loadClientTrust({ ca: options.ca }).authorities
  const prober = new Prober({ host, port, servername: isIP(servername) === 0 ? servername : undefined, timeout })
  const seen = await scan({ target: prober.target, name: servername, ca, now: new Date() }, prober)
  if (seen === undefined) {
    const { connectError } = prober
    throw tlsContextError('SCAN_FAILED', connectError === undefined
      ? `${host}:${port} answers, and not with TLS or SSL${servername === host ? '' : ` for ${servername}`}. See that it is a port of HTTPS`
      : `${host}:${port} cannot be reached (${connectError.code}). See that a server listens there`)
  }
  return {
    host,
    port,
    servername,
    ...rate(seen, rulesets[ruleset]),
    ...seen,
    protocols: [...seen.protocols].map(([name, protocol]) => ({ name, ...protocol })),
    duration: performance.now() - start,
    notProbed,
    registryDate,
  }
}

/**
 * Grades a Fastify app in a test of its own. One that does not listen yet is made to listen on a free port of 127.0.0.1,
 * until it is closed.
 *
 * @param options Default of `servername`: the first name of the certificate.
 * @example
 * const { grade } = await selfGrade(app, { ca: 'certificates/ca.pem' })
 * assert.equal(grade, 'A+')
 */
export async function selfGrade (app: FastifyInstance, options: GradeOptions = {}): Promise<GradeReport> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address() as AddressInfo | string | null
  if (address === null || typeof address === 'string') throw tlsContextError('SCAN_FAILED', 'the app listens on a path, and a port is needed to grade it')
  const host = address.address === '::' ? '::1' : address.address === '0.0.0.0' ? '127.0.0.1' : address.address
  const servername = options.servername ?? await firstName(host, address.port)
  return await grade(host, address.port, { ...options, ...servername !== undefined && { servername } })
}

async function firstName (host: string, port: number): Promise<string | undefined> {
  const observed = await observe({ host, port, servername: undefined, timeout: 3_000 }, 'EC') ?? await observe({ host, port, servername: undefined, timeout: 3_000 }, 'RSA')
  return /(?:^|, )DNS:([^,*"]+)/.exec(observed?.chain[0]?.subjectAltName ?? '')?.[1]
}
