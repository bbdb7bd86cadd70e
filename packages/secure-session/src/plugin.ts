import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { assertCookieFits } from './cookie-policy.js'
import { RouteOff } from './errors.js'
import './fastify-types.js'
import { currentSecond } from './lifetimes.js'
import { OpenedSession, type SessionOrigin } from './opened-session.js'
import { checkRouteOption, settingsFrom, type SecureSessionOptions, type Settings } from './options.js'
import { reportRefusal } from './refusals.js'
import { sealedSessions } from './sealed/sealed-sessions.js'
import { sessionWithProperties, type Session } from './session.js'
import { newRecord } from './session-record.js'
import { forbidCaching, replaceSetCookie, withdrawSetCookie } from './set-cookie.js'

/** What one request has to do with its session. */
interface Exchange {
  reply?: FastifyReply
  opened?: { readonly session: OpenedSession, readonly view: Session }
  /** The cookie is decided: a change now would not reach it. */
  isDecided: boolean
  /** The Set-Cookie line of the response so far: a response passes onSend twice if a later hook fails. */
  line?: string
  /** The cookie could not be written: the error's own response leaves it as it is in the browser. */
  hasFailed: boolean
}

const exchangeOf = Symbol('fastkeep.secure-session.exchange')
const routeIsOff = Symbol('fastkeep.secure-session.off')

type RequestWithExchange = FastifyRequest & { [exchangeOf]: Exchange | null }

export async function secureSessionPlugin (fastify: FastifyInstance, options: SecureSessionOptions): Promise<void> {
  const settings = settingsFrom(options, process.env)
  const { name, attributes } = settings.cookie
  const sessions = sealedSessions({ ...settings, cookieName: name })
  if (!fastify.hasDecorator('parseCookie')) await fastify.register(cookie)
  if (settings.development) warnOfDevelopment(fastify, settings)
  const refuseInsecureTransport = insecureTransportGuard(name)

  fastify.decorateRequest(exchangeOf, null)
  fastify.decorateRequest('session', {
    getter (this: FastifyRequest) {
      if (isRouteOff(this)) throw new RouteOff()
      const exchange = exchangeFor(this)
      exchange.opened ??= openSession(this, exchange)
      return exchange.opened.view
    },
  })

  fastify.addHook('onRoute', route => {
    const { session } = route as RouteOptions & { session?: unknown }
    checkRouteOption(session)
    if (session === false) route.config = { ...route.config, [routeIsOff]: true }
  })

  fastify.addHook('onRequest', (request, reply, done) => {
    exchangeFor(request).reply = reply
    done()
  })

  fastify.addHook('onSend', (request, reply, _payload, done) => {
    const exchange = exchangeFor(request)
    exchange.isDecided = true
    if (exchange.opened === undefined || exchange.hasFailed) return done()
    try {
      if (exchange.line !== undefined) withdrawSetCookie(reply, exchange.line)
      exchange.line = decideCookie(exchange.opened.session, request)
      if (exchange.line !== undefined) sendCookie(reply, exchange.line)
      done()
    } catch (error) {
      exchange.hasFailed = true
      done(error as Error)
    }
  })

  // A later onSend hook failed: the error handler may change the session, and its response passes onSend once more.
  fastify.addHook('onError', (request, _reply, _error, done) => {
    const exchange = exchangeFor(request)
    exchange.isDecided = exchange.hasFailed
    done()
  })

  function openSession (request: FastifyRequest, exchange: Exchange): { session: OpenedSession, view: Session } {
    const session = new OpenedSession(readCookie(request), () => exchange.isDecided || isBegun(exchange.reply))
    return { session, view: sessionWithProperties(session) }
  }

  function readCookie (request: FastifyRequest): SessionOrigin {
    // A hook that runs before the one of @fastify/cookie finds no cookies yet.
    const cookies = request.cookies as typeof request.cookies | null ?? fastify.parseCookie(request.headers.cookie ?? '')
    const value = cookies[name]
    const now = currentSecond()
    if (value === undefined) return { record: newRecord(now) }
    if (value === '') return { record: newRecord(now), isCookiePresent: true }
    const origin = sessions.read(value, now)
    if (!('refused' in origin)) return { ...origin, isCookiePresent: true }
    reportRefusal({ reason: origin.refused, cookieName: name, request })
    return { record: newRecord(now), isCookiePresent: true }
  }

  /** The Set-Cookie line to send, if any. */
  function decideCookie (session: OpenedSession, request: FastifyRequest): string | undefined {
    const now = currentSecond()
    const outcome = session.outcome(now)
    if (outcome.cookie === 'kept') return undefined
    const value = outcome.cookie === 'written' ? sessions.write(outcome.record, now) : ''
    assertCookieFits(name, value)
    if (attributes.secure && refuseInsecureTransport(request)) return undefined
    const lifetime = outcome.cookie === 'expired' ? { maxAge: 0, expires: new Date(0) } : {}
    // Not through reply.setCookie(), which would add the application's own defaults, such as a Domain that __Host- forbids.
    return fastify.serializeCookie(name, value, { ...attributes, ...lifetime })
  }

  function sendCookie (reply: FastifyReply, line: string): void {
    replaceSetCookie(reply, name, line)
    forbidCaching(reply)
  }
}

function exchangeFor (request: FastifyRequest): Exchange {
  const holder = request as RequestWithExchange
  holder[exchangeOf] ??= { isDecided: false, hasFailed: false }
  return holder[exchangeOf]
}

function isBegun (reply: FastifyReply | undefined): boolean {
  return reply !== undefined && (reply.sent || reply.raw.headersSent)
}

function isRouteOff (request: FastifyRequest): boolean {
  return Reflect.get(request.routeOptions.config ?? {}, routeIsOff) === true
}

/** Says for a request whether its answer goes over plain HTTP, where browsers ignore a Secure cookie, and logs it: loud once. */
function insecureTransportGuard (cookieName: string): (request: FastifyRequest) => boolean {
  let isWarned = false
  return request => {
    if (request.protocol === 'https') return false
    const code = 'FST_KEEP_SECURE_SESSION_INSECURE_TRANSPORT'
    const text = `cookie "${cookieName}" not sent, the session is lost: it is Secure and the request came over plain HTTP.`
    if (isWarned) {
      request.log.debug({ code }, text)
    } else {
      isWarned = true
      request.log.warn({ code }, `${text} Behind a proxy that ends TLS, set Fastify's option "trustProxy" and have the proxy send ` +
        'X-Forwarded-Proto; on your own machine, register with { development: true }. Logged at level debug from now on')
    }
    return true
  }
}

function warnOfDevelopment (fastify: FastifyInstance, { cookie, isKeyTemporary }: Settings): void {
  const key = isKeyTemporary ? ', and its key was made for this process: its sessions end with it' : ''
  fastify.log.warn({ code: 'FST_KEEP_SECURE_SESSION_DEVELOPMENT' },
    `secure-session runs with { development: true }: cookie "${cookie.name}" has neither Secure nor the prefix __Host-${key}`)
}
