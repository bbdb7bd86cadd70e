import { constants, type X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import { acmeAlpnCallback } from './acme.js'
import { Attachment, type SecureServer } from './attachment.js'
import type { Finding } from './certificates/finding.js'
import { namesOf } from './certificates/general-name.js'
import { isCovered, subjectOf, validityOf } from './certificates/validate.js'
import { systemCode } from './errors.js'
import { eventReporter, type EventListener } from './events.js'
import { ExpiryWatch } from './expiry.js'
import { buildGeneration, identitiesOf, identityOptions, retiredBy, type Generation } from './generation.js'
import { Stapler } from './ocsp/stapler.js'
import type { GateOptions } from './peer/gate.js'
import { compileVerify } from './peer/rules.js'
import { pskCallback, type PskCallback } from './psk.js'
import { Retired } from './retired.js'
import type { CertificateDescription, ReloadReport, ServerContext } from './server-context.js'
import type { TlsServerOptions } from './server-options.js'
import type { Settings } from './settings.js'
import { runAtOnce, runInSlices } from './slices.js'
import type { TicketLink } from './ticket-chain.js'
import { TicketKeys } from './ticket-keys.js'
import type { TicketPeers, TicketSharing } from './ticket-sharing.js'
import { secretFile } from './tickets.js'
import { trialHandshake } from './trial-handshake.js'
import { FileWatcher } from './watch.js'

/** What `createServerContext` gives. */
export class Context implements ServerContext {
  readonly #settings: Settings
  readonly #attachments = new Map<SecureServer, { readonly attachment: Attachment, readonly detach: () => void }>()
  readonly #listeners = new Set<EventListener>()
  readonly #report = eventReporter(this.#listeners)
  readonly #watcher: FileWatcher
  readonly #stapler: Stapler | undefined
  readonly #gate: Pick<GateOptions, 'verify' | 'isOfResumed'> | undefined
  readonly #expiry = new ExpiryWatch(this.#report)
  readonly #retired = new Retired()
  readonly #tickets: TicketKeys | undefined
  readonly #psk: PskCallback | undefined
  #generation: Generation
  #reloading: Promise<ReloadReport> | undefined

  constructor (settings: Settings) {
    this.#settings = settings
    const { options } = settings
    this.#generation = runAtOnce(buildGeneration(settings))
    // Whoever has a ticket is not asked for his pre-shared key again, which may have been taken back.
    this.#tickets = options.tickets === false || options.psk !== undefined ? undefined : new TicketKeys(options.tickets ?? {}, () => this.#swapAll())
    this.#psk = options.psk === undefined ? undefined : pskCallback(options.psk)
    this.#gate = gateOf(settings)
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

  get expiries (): ServerContext['expiries'] {
    const { defaults, names } = this.#generation
    const [first] = defaults.map(({ identity }) => validityOf(identity.chain[0]).validTo).sort((one, other) => one.getTime() - other.getTime())
    return [
      ...first === undefined ? [] : [{ name: 'default', validTo: first }],
      ...[...names].map(([name, { identity }]) => ({ name, validTo: validityOf(identity.chain[0]).validTo })),
    ]
  }

  get ticketLink (): TicketLink | undefined {
    return this.#tickets?.chain.link()
  }

  get files (): readonly string[] {
    const secret = secretFile(this.#settings.options.tickets)
    return secret === undefined ? this.#generation.paths : [...this.#generation.paths, secret]
  }

  get isWatched (): boolean {
    return this.#settings.options.watch !== false
  }

  attach (server: SecureServer): () => void {
    const attached = this.#attachments.get(server)
    if (attached !== undefined) return attached.detach
    const { handshakeTimeout, options } = this.#settings
    this.#stapler?.serve(identitiesOf(this.#generation))
    const attachment = new Attachment(server, {
      plainHttp: options.plainHttp ?? 'refuse',
      handshakeTimeout,
      gate: this.#gate,
      stapler: this.#stapler,
      previousTickets: () => options.tickets !== false && options.tickets?.keepsPrevious === true ? this.#tickets?.chain : undefined,
      report: this.#report,
      isOurs: host => identitiesOf(this.#generation).some(({ chain: [leaf] }) => isCovered(leaf, host)),
    })
    const detach = (): void => {
      server.off('close', detach)
      attachment.detach()
      this.#attachments.delete(server)
      if (this.#attachments.size === 0) this.close()
    }
    this.#attachments.set(server, { attachment, detach })
    // It may have been made with options of before a reload or an epoch.
    attachment.swap(this.#secureOptions())
    if (this.isWatched) this.#watcher.watch(this.files)
    this.#tickets?.roll()
    this.#expiry.watch(leavesOf(this.#generation))
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
    this.#tickets?.adopt(link)
  }

  shareTickets (peers: TicketPeers): TicketSharing | undefined {
    return this.#tickets?.share(peers)
  }

  async ready (): Promise<void> {
    this.#stapler?.serve(identitiesOf(this.#generation))
    await this.#stapler?.ready()
  }

  listen (listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  close (): void {
    this.#tickets?.close()
    this.#watcher.close()
    this.#stapler?.close()
    this.#expiry.close()
  }

  async #reloadNow (): Promise<ReloadReport> {
    const start = performance.now()
    try {
      const next = await runInSlices(buildGeneration(this.#settings, this.#generation))
      await this.#tryHandshakes(next)
      if (this.#isAttached) await this.#stapler?.prepare(identitiesOf(next))
      const hasNewTickets = this.#tickets?.reread() === true
      const isAnother = next.changed.length > 0 || !next.hasSamePolicy || hasNewTickets
      this.#take(next)
      if (isAnother) this.#swapAll()
      if (this.#isAttached && this.isWatched) await this.#watcher.watchAgain(this.files)
      if (isAnother) this.#report('reloaded', { changed: next.changed, duration: performance.now() - start })
      return { changed: next.changed, findings: this.findings }
    } catch (error) {
      this.#report('reload-failed', { code: systemCode(error), message: (error as Error).message })
      throw error
    }
  }

  #take (next: Generation): void {
    this.#retired.add(retiredBy(this.#generation, next))
    this.#generation = next
    if (!this.#isAttached) return
    this.#stapler?.serve(identitiesOf(next))
    this.#expiry.watch(leavesOf(next))
  }

  get #isAttached (): boolean {
    return this.#attachments.size > 0
  }

  async #tryHandshakes ({ changed, defaults, names, defaultContext, secureOptions }: Generation): Promise<void> {
    for (const name of changed) {
      if (name === 'default') for (const { identity } of defaults) await trialHandshake(defaultContext, identity, secureOptions)
      const served = names.get(name)
      if (served !== undefined) await trialHandshake(served.secureContext, served.identity, secureOptions)
    }
  }

  #chooseContext (name: string, callback: (error: Error | null, context?: SecureContext) => void): void {
    const context = this.#generation.contexts.get(name)
    if (context !== undefined) return callback(null, context)
    const { unknownName, client } = this.#settings.options
    if (unknownName === 'reject') return callback(new Error('no certificate for the name that was asked for'))
    // Node leaves partial chains out of the context that a server makes for itself.
    callback(null, client?.allowPartialChain === true ? this.#generation.defaultContext : undefined)
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
      ...tickets?.options,
    }
  }

  #swapAll (): void {
    const secureOptions = this.#secureOptions()
    for (const { attachment } of this.#attachments.values()) attachment.swap(secureOptions)
  }
}

/** Who is resumed was judged when his session began, and his certificate may have expired since. */
function gateOf ({ options: { client }, clientMode }: Settings): Pick<GateOptions, 'verify' | 'isOfResumed'> | undefined {
  if (client?.verify !== undefined) return { verify: compileVerify(client.verify), isOfResumed: false }
  return clientMode === 'require' ? { verify: compileVerify(undefined), isOfResumed: true } : undefined
}

function leavesOf (generation: Generation): X509Certificate[] {
  return identitiesOf(generation).map(({ chain: [leaf] }) => leaf)
}

function describe (leaf: X509Certificate): CertificateDescription {
  return {
    subject: subjectOf(leaf),
    names: namesOf(leaf),
    ...validityOf(leaf),
    fingerprint256: leaf.fingerprint256,
  }
}
