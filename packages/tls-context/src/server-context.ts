import { channel } from 'node:diagnostics_channel'
import { Context } from './context.js'
import type { Finding } from './certificates/finding.js'
import { isTlsContextError } from './errors.js'
import type { SecureServer } from './attachment.js'
import type { EventListener } from './events.js'
import { buildGeneration } from './generation.js'
import type { TlsServerOptions } from './server-options.js'
import { resolveSettings, type ServerContextOptions, type Settings } from './settings.js'
import { runAtOnce } from './slices.js'
import type { TicketLink } from './ticket-chain.js'
import type { TicketPeers, TicketSharing } from './ticket-sharing.js'

/** For tools that want to know what an app serves with. */
const created = channel('fastkeep:tls-context:created')

export interface CertificateDescription {
  /** Such as `CN=example.org`; empty where the certificate has none. */
  readonly subject: string
  /** DNS names and after them the IP addresses of the subjectAltName. */
  readonly names: readonly string[]
  readonly validFrom: Date
  readonly validTo: Date
  /** SHA-256, in upper case hexadecimal pairs with colons. */
  readonly fingerprint256: string
}

/** What a reload did. */
export interface ReloadReport {
  /** Names whose certificate is another one now, and `default`. */
  readonly changed: readonly string[]
  /** Those of all that serves, unchanged ones too. */
  readonly findings: readonly Finding[]
}

export interface ServerContext {
  /** For servers that are made from now on. Holds the key. */
  readonly options: TlsServerOptions
  /** The default certificate's leaf; `null` with pre-shared keys alone. */
  readonly certificate: CertificateDescription | null
  /** Those of all names, by `default` and the names. Of several default certificates the first to expire. */
  readonly expiries: ReadonlyArray<{ readonly name: string, readonly validTo: Date }>
  /** Warnings and remarks about what serves; errors stop the start. */
  readonly findings: readonly Finding[]
  /** Whether clients are asked for a certificate. */
  readonly clientMode: Settings['clientMode']
  /** The present link of the ticket keys, for a process that starts now; `undefined` where none are issued. Secret. */
  readonly ticketLink: TicketLink | undefined
  /** All files that it reads, absolute: for a check that another user can read them. */
  readonly files: readonly string[]
  /** Option `watch`. */
  readonly isWatched: boolean
  /**
   * Renews what this server serves from now on, answers plain HTTP, staples, and asks `client.verify`. Until it is
   * closed, or the function that this gives is called.
   */
  attach (server: SecureServer): () => void
  /**
   * Reads all files anew, checks them, tries a handshake with each that has changed, and swaps all at once. Rejects, and
   * leaves what serves as it is, with the errors of `createServerContext` or `TRIAL_FAILED`.
   */
  reload (): Promise<ReloadReport>
  /** Takes a link of another process in place of its own. */
  useTicketLink (link: TicketLink): void
  /**
   * Has one chain of ticket keys with all workers of a supervisor, newcomers too: for `engine.peers`, which the plugin
   * gives it. `undefined`: nothing is shared, since `tickets` says otherwise.
   */
  shareTickets (peers: TicketPeers): TicketSharing | undefined
  /** Resolves when it can serve; rejects with `STAPLE_MISSING` where a certificate demands a staple and none can be had. */
  ready (): Promise<void>
  /** Told of reloads, staples and refused peers; gives a function that ends that. */
  listen (listener: EventListener): () => void
  /** Ends watching and timers. Servers go on with what they have. */
  close (): void
}

/**
 * Reads certificates and keys, checks them, and makes of them and a profile the options of a TLS server. Files are read
 * once, synchronously, now; and again after they have changed, once a server is attached.
 *
 * Throws errors with `exitCode` 78, whose codes are in the README: of options, of files, and of each finding that is an
 * error.
 *
 * @see https://wiki.mozilla.org/Security/Server_Side_TLS
 * @example
 * const context = createServerContext({ cert: 'cert.pem', key: 'key.pem' })
 * const app = Fastify({ https: context.options })
 * await app.register(tlsContext, { context })
 */
export function createServerContext (options: ServerContextOptions): ServerContext {
  const context = new Context(resolveSettings(options))
  if (created.hasSubscribers) created.publish({ context })
  return context
}

/** Everything that `createServerContext` would refuse or warn of, without making one. */
export function validate (options: ServerContextOptions): Finding[] {
  const errors: Finding[] = []
  const collect = (findings: Iterable<Finding>): void => { errors.push(...[...findings].filter(({ severity }) => severity === 'error')) }
  try {
    const { findings } = runAtOnce(buildGeneration(resolveSettings(options), undefined, collect))
    return [...errors, ...findings.filter(({ severity }) => severity !== 'error')]
  } catch (error) {
    if (!isTlsContextError(error)) throw error
    // What makes OpenSSL refuse has mostly been found before.
    return errors.length > 0 ? errors : [{ code: error.code.replace('FST_KEEP_TLS_CONTEXT_', '') as Finding['code'], severity: 'error', message: error.message, fix: '' }]
  }
}
