import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { describeSettings, routeKey, type Description, type RouteName } from './describe.js'
import * as errors from './errors.js'
import { clearSiteData, type SiteData } from './headers/clear-site-data.js'
import { nonceOf } from './nonce.js'
import type { CspNonce } from './nonce-views.js'
import {
  ROUTE_OPTION_PATH, checkOptions, checkPluginOptions, checkRouteOption, type SecureHeadersPluginOptions,
  type SecureHeadersRouteOption,
} from './options.js'
import { askedPolicy, compilePolicy, staticPolicy, warm, type Policy } from './policy.js'
import { checkPath, reportingOf } from './reporting/options.js'
import { addReportRoute } from './reporting/route.js'
import { guardHead, policyOf } from './response-head.js'
import { DEFAULT_SETTINGS, mergeSettings, type Settings } from './settings.js'

/** What the plugin adds to the instance as `app.secureHeaders`. */
export interface SecureHeadersInspection {
  /**
   * The headers that answers of a route have, by the class of their content type, and where each came from; without
   * an argument those of the scope, which its 404 has.
   *
   * @throws `FST_KEEP_SECURE_HEADERS_ROUTE_UNKNOWN`
   * @example app.secureHeaders.describe({ method: 'GET', url: '/' }).document
   */
  describe (route?: RouteName): Description
}

declare module './nonce-views.js' {
  /**
   * A nonce in base64, 24 characters. It is a String object: use it in templates as it is, and `String(nonce)` where a
   * primitive string is needed. `.script` and `.style` are the same value.
   */
  interface CspNonce extends String {}
}

declare module 'fastify' {
  interface FastifyInstance {
    readonly secureHeaders: SecureHeadersInspection
  }

  interface FastifyReply {
    /**
     * A nonce of 128 bits in base64, made when it is first read. Once read, `script-src` and `style-src` of this
     * response's Content-Security-Policy let elements with it run, unless the policy has `'nonce'` elsewhere.
     *
     * @throws `FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE` when it is first read after the head was sent
     * @example reply.type('text/html').send(`<script nonce="${reply.cspNonce}">...</script>`)
     */
    readonly cspNonce: CspNonce
    /**
     * Changes the policy of this one response, with the options of a route; its nonce stays. `false` sends none of
     * the headers.
     *
     * @throws errors of options, and `FST_KEEP_SECURE_HEADERS_TOO_LATE` after the head was sent
     * @example reply.secureHeaders({ contentSecurityPolicy: { directives: { imgSrc: { append: [avatarHost] } } } })
     */
    secureHeaders (changes: SecureHeadersRouteOption): this
    /**
     * Tells the browser to forget what it keeps of this site, on log-out: by default cache, cookies and storage.
     *
     * @throws `FST_KEEP_SECURE_HEADERS_CLEAR_SITE_DATA`
     * @example reply.clearSiteData().redirect('/')
     */
    clearSiteData (...types: readonly SiteData[]): this
  }

  interface RouteShorthandOptions {
    /** `false` sends none of the security headers; an object changes the policy of the route's scope. */
    secureHeaders?: SecureHeadersRouteOption
  }
}

/** All error classes by their code, for `instanceof`. */
export const errorCodes = {
  FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN: checkOptions.OptionUnknown,
  FST_KEEP_SECURE_HEADERS_OPTION_INVALID: checkOptions.OptionInvalid,
  FST_KEEP_SECURE_HEADERS_CSP: errors.CspInvalid,
  FST_KEEP_SECURE_HEADERS_HSTS_PRELOAD: errors.HstsPreloadIneligible,
  FST_KEEP_SECURE_HEADERS_PERMISSIONS_POLICY: errors.PermissionsPolicyInvalid,
  FST_KEEP_SECURE_HEADERS_REPORTING: errors.ReportingInvalid,
  FST_KEEP_SECURE_HEADERS_REGISTERED_TWICE: errors.RegisteredTwice,
  FST_KEEP_SECURE_HEADERS_FACTORY_OPTION: errors.FactoryOptionInvalid,
  FST_KEEP_SECURE_HEADERS_HELMET: errors.HelmetBesideSecureHeaders,
  FST_KEEP_SECURE_HEADERS_ROUTE_UNKNOWN: errors.RouteUnknown,
  FST_KEEP_SECURE_HEADERS_REPORT_INVALID: errors.ReportInvalid,
  FST_KEEP_SECURE_HEADERS_REPORT_RATE: errors.ReportRateExceeded,
  FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE: errors.NonceTooLate,
  FST_KEEP_SECURE_HEADERS_TOO_LATE: errors.ChangedTooLate,
  FST_KEEP_SECURE_HEADERS_CLEAR_SITE_DATA: errors.ClearSiteDataInvalid,
} as const

const kScope = Symbol('secure-headers.scope')
const kRoutePolicy = Symbol('secure-headers.route-policy')

/** The policy of one scope; child scopes see it through Fastify's prototype chain until they register their own. */
interface Scope {
  readonly settings: Settings
  /** `undefined`: the scope sends no header of this plugin. */
  readonly policy: Policy | undefined
}

interface ScopedInstance extends FastifyInstance {
  [kScope]?: Scope
}

/** `null`: the route sends no header of this plugin. */
interface RouteConfig {
  [kRoutePolicy]?: Policy | null
}

async function secureHeadersPlugin (fastify: FastifyInstance, { enabled = true, ...options }: SecureHeadersPluginOptions): Promise<void> {
  checkPluginOptions({ enabled, ...options })
  const instance: ScopedInstance = fastify
  if (Object.hasOwn(instance, kScope)) throw new errors.RegisteredTwice()
  if (fastify.hasPlugin('@fastify/helmet')) throw new errors.HelmetBesideSecureHeaders()

  const around = instance[kScope]
  const name = around === undefined ? 'plugin options' : `scope ${fastify.prefix === '' ? '(without prefix)' : fastify.prefix}`
  const merged = mergeSettings(around?.settings ?? DEFAULT_SETTINGS, options, { name })
  const reporting = options.reporting ? reportingOf(options.reporting, fastify.prefix) : merged.reporting
  if (reporting && reporting.own !== undefined) checkPath(reporting.own.path, 'reporting.path')
  const settings = { ...merged, reporting }
  instance[kScope] = { settings, policy: enabled ? warm(compilePolicy(settings)) : undefined }
  // The hooks of the outermost registration serve this scope too: they ask the scope that they run in.
  if (around === undefined) decorate(fastify)
  if (options.reporting && options.reporting.path !== undefined) await addReportRoute(fastify, options.reporting, options.reporting.path)
}

function decorate (fastify: FastifyInstance): void {
  let hasRoutePolicies = false
  /** Asked at the time of a description, since a scope may be registered after its route. */
  const settingsByRoute = new Map<string, () => Settings | undefined>()

  fastify.decorate('secureHeaders', {
    getter (this: ScopedInstance) {
      return { describe: route => describeSettings(route === undefined ? scopeSettings(this) : ofRoute(route)) }
    },
  })
  fastify.decorateReply('cspNonce', {
    getter (this: FastifyReply) {
      return nonceOf(this.raw)
    },
  })
  fastify.decorateReply('secureHeaders', function (this: FastifyReply, changes: SecureHeadersRouteOption) {
    changeResponse(this, changes)
    return this
  })
  fastify.decorateReply('clearSiteData', function (this: FastifyReply, ...types: readonly SiteData[]) {
    return this.header('clear-site-data', clearSiteData(...types))
  })

  function ofRoute (route: RouteName): Settings | undefined {
    const settings = settingsByRoute.get(routeKey(route))
    if (settings === undefined) throw new errors.RouteUnknown(routeKey(route))
    return settings()
  }

  fastify.addHook('onRoute', function (this: ScopedInstance, route) {
    const { secureHeaders: option } = route
    let policy: Policy | null | undefined
    if (option !== undefined) {
      checkRouteOption(option)
      policy = option === false ? null : warm(compilePolicy(mergeRouteOption(this, option)))
      route.config = { ...route.config, [kRoutePolicy]: policy } as typeof route.config
      hasRoutePolicies = true
    }
    const settings = policy === undefined ? () => scopeSettings(this) : () => policy?.settings
    for (const method of methodsOf(route.method)) settingsByRoute.set(routeKey({ ...route, method }), settings)
  })

  fastify.addHook('onRequest', function (this: ScopedInstance, request, reply, done) {
    // routeOptions builds an object on each read, which a service without route policies need not pay for.
    const routePolicy = hasRoutePolicies ? (request.routeOptions.config as RouteConfig | undefined)?.[kRoutePolicy] : undefined
    const policy = (routePolicy === undefined ? this[kScope]?.policy : routePolicy) ?? undefined
    if (policy?.hasFunctions !== true) {
      guardHead(reply, policy)
      done()
      return
    }
    try {
      guardHead(reply, askedPolicy(policy, request, reply))
      done()
    } catch (error) {
      guardHead(reply, staticPolicy(policy))
      done(error as Error)
    }
  })
}

function methodsOf (method: string | readonly string[]): readonly string[] {
  return typeof method === 'string' ? [method] : method
}

function scopeSettings (instance: ScopedInstance): Settings | undefined {
  return instance[kScope]?.policy?.settings
}

function mergeRouteOption (instance: ScopedInstance, option: Exclude<SecureHeadersRouteOption, false>): Settings {
  return mergeSettings(instance[kScope]?.settings ?? DEFAULT_SETTINGS, option, { name: 'route', path: ROUTE_OPTION_PATH })
}

function changeResponse (reply: FastifyReply, changes: SecureHeadersRouteOption): void {
  checkRouteOption(changes)
  if (reply.raw.headersSent) throw new errors.ChangedTooLate()
  if (changes === false) {
    guardHead(reply, undefined)
    return
  }
  const inherited = policyOf(reply.raw)?.settings ?? (reply.server as ScopedInstance)[kScope]?.settings ?? DEFAULT_SETTINGS
  const policy = compilePolicy(mergeSettings(inherited, changes, { name: 'response', path: ROUTE_OPTION_PATH }))
  guardHead(reply, policy.hasFunctions ? askedPolicy(policy, reply.request, reply) : policy)
}

/**
 * Sends the security headers of its policy with every response of the scope: those of OWASP's Secure Headers Project
 * and a Content-Security-Policy that allows the origin's own files only. Which of them depends on the content type.
 * Options change the policy header by header.
 *
 * Register it first, and await it before adding routes that have the route option `secureHeaders`.
 *
 * @throws errors of configuration with `exitCode` 78, see {@link errorCodes}
 * @example
 * await app.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc: ["'self'", 'https://img.example'] } } })
 * app.get('/health', { secureHeaders: false }, async () => 'ok')
 */
export const secureHeaders = fp(secureHeadersPlugin, { fastify: '5.x', name: '@fastkeep/secure-headers' })
