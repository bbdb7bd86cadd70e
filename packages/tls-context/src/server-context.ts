import { constants, type X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import { acmeAlpnCallback } from './acme.js'
import { Attachment, type SecureServer } from './attachment.js'
import type { Finding } from './certificates/finding.js'
import { namesOf } from './certificates/general-name.js'
import { isCovered, subjectOf, validityOf } from './certificates/validate.js'
import { isTlsContextError, systemCode } from './errors.js'
import { eventReporter, type EventListener } from './events.js'
import { buildGeneration, identityOptions, type Generation } from './generation.js'
import { Stapler } from './ocsp/stapler.js'
import { compileVerify } from './peer/rules.js'
import { pskCallback, type PskCallback } from './psk.js'
import type { TlsServerOptions } from './server-options.js'
import { resolveSettings, type ServerContextOptions, type Settings } from './settings.js'
import { runAtOnce, runInSlices } from './slices.js'
import type { TicketChain, TicketLink } from './ticket-chain.js'
import { ticketChain } from './tickets.js'
import { trialHandshake } from './trial-handshake.js'
import { FileWatcher } from './watch.js'

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
  return new Context(resolveSettings(options))
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

class Context implements ServerContext {
  readonly #settings: Settings
  readonly #attachments = new Set<Attachment>()
  readonly #listeners = new Set<EventListener>()
  readonly #report = eventReporter(this.#listeners)
  readonly #watcher: FileWatcher
  readonly #stapler: Stapler | undefined
  readonly #verify: ReturnType<typeof compileVerify> | undefined
  readonly #psk: PskCallback | undefined
  #generation: Generation
  #tickets: TicketChain | undefined
  #ticketTimer: NodeJS.Timeout | undefined
  #reloading: Promise<ReloadReport> | undefined

  constructor (settings: Settings) {
    this.#settings = settings
    const { options } = settings
    this.#generation = runAtOnce(buildGeneration(settings))
    this.#tickets = options.tickets === false ? undefined : ticketChain(options.tickets ?? {})
    this.#psk = options.psk === undefined ? undefined : pskCallback(options.psk)
    this.#verify = options.client?.verify === undefined ? undefined : compileVerify(options.client.verify)
    this.#stapler = options.ocsp === false ? undefined : new Stapler(typeof options.ocsp === 'object' ? options.ocsp : {}, this.#report)
    this.#watcher = new FileWatcher({
      // Its outcome is told by an event.
      onChange: () => { this.reload().catch(() => {}) },
      onFailure: (path, code) => this.#report('watch-failed', { path, code }),
    })
  }

  get options (): TlsServerOptions {
    const { clientMode, handshakeTimeout, options: { acme, psk, client, unknownName } } = this.#settings
    const needsSni = this.#generation.names.size > 0 || unknownName === 'reject' || client?.allowPartialChain === true
    return {
      ...this.#secureOptions(),
      handshakeTimeout,
      ...clientMode !== 'off' && { requestCert: true, rejectUnauthorized: clientMode === 'require' },
      ...needsSni && { SNICallback: (name: string, callback: (error: Error | null, context?: SecureContext) => void) => this.#chooseContext(name, callback) },
      ...acme !== undefined && { ALPNCallback: acmeAlpnCallback(acme) },
      ...this.#psk !== undefined && { pskCallback: this.#psk },
      ...psk?.hint !== undefined && { pskIdentityHint: psk.hint },
    }
  }

  get certificate (): CertificateDescription | null {
    const [served] = this.#generation.defaults
    return served === undefined ? null : describe(served.identity.chain[0])
  }

  get findings (): readonly Finding[] {
    return this.#generation.findings.filter(({ severity }) => severity !== 'error')
  }

  get clientMode (): Settings['clientMode'] {
    return this.#settings.clientMode
  }

  get ticketLink (): TicketLink | undefined {
    return this.#tickets?.link()
  }

  get files (): readonly string[] {
    return this.#generation.paths
  }

  get isWatched (): boolean {
    return this.#settings.options.watch !== false
  }

  attach (server: SecureServer): () => void {
    const { handshakeTimeout, options } = this.#settings
    this.#stapler?.serve(this.#identities())
    const attachment = new Attachment(server, {
      plainHttp: options.plainHttp ?? 'refuse',
      handshakeTimeout,
      verify: this.#verify,
      stapler: this.#stapler,
      previousTickets: () => options.tickets !== false && options.tickets?.keepsPrevious === true ? this.#tickets : undefined,
      report: this.#report,
      isOurs: host => this.#identities().some(({ chain: [leaf] }) => isCovered(leaf, host)),
    })
    this.#attachments.add(attachment)
    // It may have been made with options of before a reload or an epoch.
    attachment.swap(this.#secureOptions())
    if (this.isWatched) this.#watcher.watch(this.files)
    this.#scheduleTickets()
    const detach = (): void => {
      server.off('close', detach)
      attachment.detach()
      this.#attachments.delete(attachment)
      if (this.#attachments.size === 0) this.close()
    }
    server.on('close', detach)
    return detach
  }

  async reload (): Promise<ReloadReport> {
    // A change that comes while one reload reads would be missed by it.
    const last = this.#reloading
    const next = (async () => {
      await last?.catch(() => {})
      return await this.#reloadNow()
    })()
    this.#reloading = next
    return await next
  }

  useTicketLink (link: TicketLink): void {
    if (this.#settings.options.tickets === false) return
    this.#tickets = ticketChain({ link })
    this.#swapAll()
    if (this.#attachments.size > 0) this.#scheduleTickets()
  }

  async ready (): Promise<void> {
    this.#stapler?.serve(this.#identities())
    await this.#stapler?.ready()
  }

  listen (listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  close (): void {
    clearTimeout(this.#ticketTimer)
    this.#watcher.close()
    this.#stapler?.close()
  }

  async #reloadNow (): Promise<ReloadReport> {
    const start = performance.now()
    try {
      const next = await runInSlices(buildGeneration(this.#settings, this.#generation))
      await this.#tryHandshakes(next)
      const isAnother = next.changed.length > 0 || next.trust?.digest !== this.#generation.trust?.digest
      this.#generation = next
      if (isAnother) {
        this.#stapler?.serve(this.#attachments.size > 0 ? this.#identities() : [])
        this.#swapAll()
      }
      if (this.#attachments.size > 0 && this.isWatched) this.#watcher.watch(this.files)
      if (isAnother) this.#report('reloaded', { changed: next.changed, duration: performance.now() - start })
      return { changed: next.changed, findings: this.findings }
    } catch (error) {
      this.#report('reload-failed', { code: systemCode(error), message: (error as Error).message })
      throw error
    }
  }

  async #tryHandshakes ({ changed, defaults, names, defaultContext, secureOptions }: Generation): Promise<void> {
    for (const name of changed) {
      if (name === 'default') for (const { identity } of defaults) await trialHandshake(defaultContext, identity, secureOptions)
      const served = names.get(name)
      if (served !== undefined) await trialHandshake(served.secureContext, served.identity, secureOptions)
    }
  }

  #identities () {
    const { defaults, names } = this.#generation
    return [...defaults, ...names.values()].map(({ identity }) => identity)
  }

  #chooseContext (name: string, callback: (error: Error | null, context?: SecureContext) => void): void {
    const { unknownName, client } = this.#settings.options
    const context = this.#generation.contexts.get(name)
    if (context === undefined && unknownName === 'reject') return callback(new Error('no certificate for the name that was asked for'))
    // Node leaves partial chains out of the context that a server makes for itself.
    callback(null, context ?? (client?.allowPartialChain === true ? this.#generation.defaultContext : undefined))
  }

  /** What `setSecureContext` takes; it forgets whatever it is not given. */
  #secureOptions () {
    const { secureOptions, defaults } = this.#generation
    const tickets = this.#tickets
    return {
      ...secureOptions,
      ...identityOptions(defaults.map(({ identity }) => identity)),
      // Handshakes that a client begins anew on an open connection serve nobody but attackers; TLS 1.3 has none.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (tickets === undefined ? constants.SSL_OP_NO_TICKET : 0),
      ...tickets !== undefined && { ticketKeys: tickets.keys(), sessionTimeout: Math.floor(tickets.epochLength / 2_000) },
    }
  }

  #swapAll (): void {
    const secureOptions = this.#secureOptions()
    for (const attachment of this.#attachments) attachment.swap(secureOptions)
  }

  #scheduleTickets (): void {
    clearTimeout(this.#ticketTimer)
    if (this.#tickets === undefined) return
    this.#ticketTimer = setTimeout(() => {
      this.#swapAll()
      this.#scheduleTickets()
    }, this.#tickets.untilNextEpoch)
    this.#ticketTimer.unref()
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
