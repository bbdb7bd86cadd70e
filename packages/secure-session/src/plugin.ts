import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import { isSafe } from './csrf.js'
import { configurationError, CookieTaken, RouteOff } from './errors.js'
import './fastify-types.js'
import { routeSettingsFrom, settingsFrom, USUAL_ROUTE, type RouteSettings, type SecureSessionOptions, type Settings } from './options.js'
import { createRegistration } from './registration.js'
import { RequestSession } from './request-session.js'
import { routeKey, sessionsOf } from './sessions.js'

export async function secureSessionPlugin (fastify: FastifyInstance, options: SecureSessionOptions): Promise<void> {
  const settings = settingsFrom(options, process.env)
  const { name } = settings
  if (settings.development) warnOfDevelopment(fastify, settings)
  claimCookie(fastify, settings)
  const routes = new Map<string, RouteSettings>()
  const registration = createRegistration(fastify, settings, options)

  // Each registration has places of its own on the request, so that an application can have several sessions. They are not
  // declared to Fastify, which would write all of them into every request, also of those that need none.
  const placeOfReply = Symbol(`fastkeep.secure-session.${name}.reply`)
  const placeOfSession = Symbol(`fastkeep.secure-session.${name}`)
  const placeOfDecision = Symbol(`fastkeep.secure-session.${name}.decided`)
  const placeOfRoute = Symbol(`fastkeep.secure-session.${name}.route`)
  type Places = FastifyRequest & { [placeOfReply]?: FastifyReply, [placeOfSession]?: RequestSession, [placeOfDecision]?: boolean }

  // Fastify makes the object of a route's options anew each time, which only routes with an option of ours are worth.
  let isAnyRouteSpecial = false
  const routeOf = (request: FastifyRequest): RouteSettings => {
    if (!isAnyRouteSpecial) return USUAL_ROUTE
    return Reflect.get(request.routeOptions.config ?? {}, placeOfRoute) as RouteSettings | undefined ?? USUAL_ROUTE
  }

  const sessionOf = (request: FastifyRequest, route: RouteSettings): RequestSession => {
    const places = request as Places
    const known = places[placeOfSession]
    if (known !== undefined) return known
    const session = new RequestSession(registration, request, () => places[placeOfReply], route)
    session.isDecided = places[placeOfDecision] === true
    places[placeOfSession] = session
    return session
  }

  // Without a store, revocation or notBefore there is nothing to ask, and the cookie is opened at first use.
  const isOpenedAtOnce = settings.store === undefined && settings.revocation === undefined && settings.notBefore === undefined

  fastify.decorateRequest(name, {
    getter (this: FastifyRequest) {
      let session = (this as Places)[placeOfSession]
      if (session === undefined) {
        const route = routeOf(this)
        if (route.isOff) throw new RouteOff(name)
        session = sessionOf(this, route)
      }
      // What has to be asked was asked in onRequest, or waits for load().
      if (!session.isLoaded && (isOpenedAtOnce || !session.isCookiePresent)) session.openNow()
      return session.view
    },
  })
  fastify.decorate(name === 'session' ? 'sessions' : `${name}Sessions`, sessionsOf(registration, routes))

  fastify.addHook('onRoute', route => {
    const option: unknown = Reflect.get(route, name)
    const resolved = routeSettingsFrom(option, name)
    for (const method of [route.method].flat()) routes.set(routeKey(method, route.url), resolved)
    if (option === undefined) return
    isAnyRouteSpecial = true
    ;(route as RouteOptions).config = { ...route.config, [placeOfRoute]: resolved }
  })

  fastify.addHook('onRequest', (request, reply, done) => {
    (request as Places)[placeOfReply] = reply
    const mustCheck = settings.csrf !== false && !isSafe(request.method)
    if ((isOpenedAtOnce && !mustCheck) || request.headers.cookie === undefined) return done()
    const route = routeOf(request)
    if (route.isOff) return done()
    const session = sessionOf(request, route)
    if (!session.isCookiePresent) return done()
    if (!mustCheck || !route.isCsrfChecked) return route.isLazy ? done() : settle(session.load(), done)
    if (!session.mayBeForeign && (isOpenedAtOnce || route.isLazy)) return done()
    settle(session.load(), done, () => session.assertOwnOrigin())
  })

  if (settings.csrf !== false && settings.csrf.requireToken) {
    fastify.addHook('preHandler', async request => {
      const route = routeOf(request)
      if (isSafe(request.method) || route.isOff || !route.isCsrfChecked) return
      const session = sessionOf(request, route)
      await session.load()
      session.assertToken()
    })
  }

  fastify.addHook('onSend', (request, reply, _payload, done) => {
    const places = request as Places
    places[placeOfDecision] = true
    const session = places[placeOfSession]
    if (session === undefined) return done()
    const fail = (error: unknown): void => {
      session.hasFailed = true
      done(error as Error)
    }
    try {
      const decision = session.decide(reply)
      if (decision === undefined) return done()
      decision.then(() => done(), fail)
    } catch (error) {
      fail(error)
    }
  })

  // A later onSend hook failed: the error handler may change the session, and its response passes onSend once more.
  fastify.addHook('onError', (request, _reply, _error, done) => {
    const places = request as Places
    const session = places[placeOfSession]
    places[placeOfDecision] = session?.hasFailed === true
    if (session !== undefined) session.isDecided = session.hasFailed
    done()
  })
}

/** Two that share a cookie would each take what the other has sealed for their own. */
function claimCookie (fastify: FastifyInstance, { cookie }: Settings): void {
  const claim = Symbol.for(`fastkeep.secure-session.cookie.${cookie.name}`)
  if (fastify.hasDecorator(claim)) throw configurationError(new CookieTaken(cookie.name))
  fastify.decorate(claim, true)
}

/** Ends a hook when what may have to wait is done, and a last check passes. */
function settle (outcome: void | Promise<void>, done: HookHandlerDoneFunction, check: () => void = () => {}): void {
  const finish = (): void => {
    try {
      check()
    } catch (error) {
      return done(error as Error)
    }
    done()
  }
  if (outcome === undefined) finish()
  else outcome.then(finish, done)
}

function warnOfDevelopment (fastify: FastifyInstance, { cookie, isKeyTemporary }: Settings): void {
  const key = isKeyTemporary ? ', and its key was made for this process: its sessions end with it' : ''
  fastify.log.warn({ code: 'FST_KEEP_SECURE_SESSION_DEVELOPMENT' },
    `secure-session runs with { development: true }: cookie "${cookie.name}" has neither Secure nor a prefix such as __Host-${key}`)
}
