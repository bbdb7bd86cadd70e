import type { FastifyReply, FastifyRequest } from 'fastify'
import { clearSiteDataValue } from './clear-site-data.js'
import { csrfToken, isCsrfToken, provenance, tokenOf } from './csrf.js'
import { CrossSite, TokenRequired } from './errors.js'
import type { SessionEventName } from './events.js'
import { currentSecond } from './lifetimes.js'
import type { Commitment, Reading } from './mode.js'
import { newOrigin, OpenedSession, type SessionHost, type SessionOrigin } from './opened-session.js'
import type { RouteSettings } from './options.js'
import type { Plan } from './plan.js'
import type { Registration } from './registration.js'
import { sessionWithProperties, type Session, type SessionEndReason, type SessionExtras } from './session.js'
import { forbidCaching, replaceSetCookies, withdrawSetCookies } from './set-cookie.js'

const EVENT_OF: Readonly<Partial<Record<Plan['kind'], SessionEventName>>> = {
  create: 'created', renew: 'renewed', rename: 'regenerated', destroy: 'destroyed',
}

/** What one request has to do with one session. */
export class RequestSession implements SessionHost, SessionExtras {
  readonly #registration: Registration
  readonly #request: FastifyRequest
  readonly #route: RouteSettings
  readonly #replyOf: () => FastifyReply | undefined
  readonly #value: string | undefined
  readonly #session: OpenedSession
  #view: Session | undefined
  #loading: Promise<void> | undefined
  #hasToken = false
  /** The session was destroyed, and that is done. */
  #hasEnded = false
  /** What this response does to the cookie is decided: a change now would not reach it. */
  isDecided = false
  /** The session could not be written: the error's own response leaves the cookie as it is in the browser. */
  hasFailed = false
  /** The Set-Cookie lines of the response so far: a response passes onSend twice if a later hook fails. */
  #lines: readonly string[] = []

  constructor (registration: Registration, request: FastifyRequest, replyOf: () => FastifyReply | undefined, route: RouteSettings) {
    this.#registration = registration
    this.#request = request
    this.#route = route
    this.#value = registration.cookie.valueIn(request.headers.cookie)
    this.#replyOf = replyOf
    this.#session = new OpenedSession(this)
  }

  /** What handlers see. */
  get view (): Session {
    this.#view ??= sessionWithProperties(this.#session, this)
    return this.#view
  }

  get name (): string { return this.#registration.settings.name }

  get largestData (): number { return this.#registration.largestData }

  get isResponseWritten (): boolean {
    if (this.isDecided) return true
    const reply = this.#replyOf()
    return reply !== undefined && (reply.sent || reply.raw.headersSent)
  }

  /** The request carried the cookie, accepted or refused. */
  get isCookiePresent (): boolean { return this.#value !== undefined }

  get isLoaded (): boolean { return this.#session.isLoaded }

  /** It may be a page of another origin that has sent the request. */
  get mayBeForeign (): boolean { return this.#provenance() === 'foreign' }

  /** An accepted cookie came. Only once loaded. */
  get isKnown (): boolean { return this.#session.isLoaded && !this.#session.isNew }

  /** Opens the session: at once if nothing has to be asked. */
  load (): void | Promise<void> {
    if (this.#session.isLoaded) return
    if (this.#loading !== undefined) return this.#loading
    const now = currentSecond()
    if (this.#value === undefined || this.#value === '') return this.#session.settle(newOrigin(now))
    const reading = this.#registration.mode.read(this.#value, now)
    if (!(reading instanceof Promise)) return this.#take(reading, now)
    this.#loading = reading.then(read => this.#take(read, now), (error: unknown) => {
      // A later load() asks again, and until then the session stays closed: never an empty one.
      this.#loading = undefined
      throw error
    })
    return this.#loading
  }

  /** Opens a session of which nothing has to be asked. */
  openNow (): void {
    const outcome = this.load()
    if (outcome !== undefined) throw new Error('a session that has to be asked for cannot be opened at once')
  }

  /** Refuses what a page of another origin sends for who is logged in. */
  assertOwnOrigin (): void {
    if (this.isKnown && this.#provenance() === 'foreign') throw this.#crossSite()
  }

  /** Refuses what tells nothing of its origin and has no token. Once the body is there. */
  assertToken (): void {
    if (!this.#mustHaveToken() || !this.isKnown) return
    this.#hasToken = isCsrfToken(this.#registration.csrfKeys(), this.#session.id, tokenOf(this.#request))
    if (!this.#hasToken) throw new TokenRequired()
  }

  /** Does what the request decided, and puts the cookie into the response. */
  decide (reply: FastifyReply): void | Promise<void> {
    this.isDecided = true
    if (!this.#session.isLoaded || this.hasFailed) return
    const plan = this.#session.plan()
    // A response that passes here again keeps the cookie that it has.
    if (plan.kind === 'nothing' || this.#hasEnded) return
    // A session of which the browser would not learn is not begun.
    if (plan.kind === 'create' && this.#isTransportRefused()) return
    const now = currentSecond()
    const commitment = this.#registration.mode.commit(plan, this.#session.origin, now)
    if (commitment instanceof Promise) return commitment.then(committed => this.#send(reply, plan, committed, now))
    this.#send(reply, plan, commitment, now)
  }

  #take (reading: Reading, now: number): void {
    const { events, cookie, mode } = this.#registration
    if ('refused' in reading) {
      events.refuse({ reason: reading.refused, cookieName: cookie.name, request: this.#request })
      return this.#session.settle(newOrigin(now))
    }
    this.#session.settle(reading)
    const { id, subject } = reading.record
    events.publish('loaded', () => mode.handleOf(id), subject, this.#request)
    if (reading.isRenewed === true) events.publish('renewed', () => mode.handleOf(id), subject, this.#request)
  }

  #send (reply: FastifyReply, plan: Plan, { cookie, origin, isDropped, displaced = [] }: Commitment, now: number): void {
    const former = this.#session.origin
    const { settings, events, watch } = this.#registration
    if (isDropped === true) events.drop(this.#request)
    else if (cookie !== 'unchanged' || plan.kind === 'destroy') this.#tell(plan, former, origin)
    for (const handle of displaced) {
      events.publish('destroyed', () => handle, origin.record.subject, this.#request)
      watch.end(handle, 'destroyed')
    }
    if (plan.kind !== 'destroy') this.#session.settle(origin)
    if (cookie === 'unchanged' && this.#lines.length > 0) return
    const lines = this.#linesOf(cookie, now)
    this.#put(reply, lines.length > 0 && this.#isTransportRefused() ? [] : lines)
    this.#hasEnded = plan.kind === 'destroy'
    if (plan.kind === 'destroy' && settings.clearSiteData.length > 0) reply.header('clear-site-data', clearSiteDataValue(settings.clearSiteData))
  }

  #isTransportRefused (): boolean {
    const { settings, refusesTransport } = this.#registration
    return settings.cookie.attributes.secure && refusesTransport(this.#request)
  }

  #linesOf (cookie: Commitment['cookie'], now: number): string[] {
    const { cookie: writer, settings } = this.#registration
    const { cookie: header } = this.#request.headers
    if (cookie === 'unchanged') return []
    if (cookie !== 'expired') return writer.lines(cookie.value, header, cookie.record.createdAt + settings.absoluteTimeout - now)
    // A cross-site request comes without the cookie, which is SameSite: its answer must not delete the cookie all the same.
    return this.isCookiePresent ? writer.expiry(header) : []
  }

  #put (reply: FastifyReply, lines: readonly string[]): void {
    if (this.#lines.length > 0) withdrawSetCookies(reply, this.#lines)
    this.#lines = lines
    if (lines.length === 0) return
    replaceSetCookies(reply, lines)
    forbidCaching(reply)
  }

  #tell (plan: Plan, former: SessionOrigin, origin: SessionOrigin): void {
    const { mode, events, watch } = this.#registration
    const event = EVENT_OF[plan.kind]
    if (event === undefined || (plan.kind === 'destroy' && former.isNew)) return
    events.publish(event, () => mode.handleOf(origin.record.id), origin.record.subject, this.#request)
    if (plan.kind === 'destroy' || plan.kind === 'rename') watch.end(mode.handleOf(former.record.id), plan.kind === 'destroy' ? 'destroyed' : 'regenerated')
  }

  async update (change: (data: Record<string, unknown>) => unknown): Promise<void> {
    await this.load()
    if (!this.#session.isNew && !this.#session.isNext && !this.#session.isDestroyed) return await this.#registration.mode.update(this.#session, change)
    // Nobody else knows this session yet.
    this.#session.assertChangeable()
    const data = this.#session.data()
    await change(data)
    for (const key of new Set([...this.#session.keys(), ...Object.keys(data)])) this.#session.set(key, Object.hasOwn(data, key) ? data[key] : undefined)
  }

  csrfToken (): string {
    // A token for a session that is gone with this request would fit nothing.
    if (this.#session.isNew) this.#session.keep()
    return csrfToken(this.#registration.csrfKeys(), this.#session.id)
  }

  onEnd (listener: (reason: SessionEndReason) => void): () => void {
    return this.#registration.watch.add(this.#session.record, this.#session.origin.keyId, listener)
  }

  assertLoginAllowed (): void {
    if (!this.#isChecked()) return
    if (this.#provenance() === 'foreign') throw this.#crossSite()
    if (this.#mustHaveToken() && !this.#hasToken) throw new TokenRequired()
  }

  #mustHaveToken (): boolean {
    const { csrf } = this.#registration.settings
    return csrf !== false && csrf.requireToken && this.#isChecked() && this.#provenance() === 'untold'
  }

  #isChecked (): boolean {
    return this.#registration.settings.csrf !== false && this.#route.isCsrfChecked
  }

  #provenance (): ReturnType<typeof provenance> {
    return provenance(this.#request, this.#registration.origins)
  }

  #crossSite (): Error {
    const { origin = 'untold', 'sec-fetch-site': site } = this.#request.headers
    return new CrossSite(`origin ${JSON.stringify(String(origin).slice(0, 200))}, Sec-Fetch-Site ${JSON.stringify(site ?? 'untold')}`)
  }
}
