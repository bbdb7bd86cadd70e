import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import * as errors from './errors.js'
import {
  ROUTE_OPTION_PATH, checkOptions, checkPluginOptions, checkRouteOption, type SecureHeadersOptions, type SecureHeadersRouteOption,
} from './options.js'
import { DEFAULT_SETTINGS, compilePolicy, mergeSettings, type Policy, type Settings } from './policy.js'
import { guardHead, nonceOf } from './response-head.js'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * A nonce of 128 bits in base64, made when it is first read. Once read, `script-src` and `style-src` of this
     * response's Content-Security-Policy let elements with it run.
     *
     * @throws `FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE` when it is first read after the head was sent
     * @example reply.type('text/html').send(`<script nonce="${reply.cspNonce}">...</script>`)
     */
    readonly cspNonce: string
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
  FST_KEEP_SECURE_HEADERS_REGISTERED_TWICE: errors.RegisteredTwice,
  FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE: errors.NonceTooLate,
} as const

const kScope = Symbol('secure-headers.scope')
const kRoutePolicy = Symbol('secure-headers.route-policy')

/** The policy of one scope; child scopes see it through Fastify's prototype chain until they register their own. */
interface Scope {
  readonly settings: Settings
  readonly policy: Policy
}

interface ScopedInstance extends FastifyInstance {
  [kScope]?: Scope
}

/** `null`: the route sends no header of this plugin. */
interface RouteConfig {
  [kRoutePolicy]?: Policy | null
}

async function secureHeadersPlugin (fastify: FastifyInstance, options: SecureHeadersOptions): Promise<void> {
  checkPluginOptions(options)
  const instance: ScopedInstance = fastify
  if (Object.hasOwn(instance, kScope)) throw new errors.RegisteredTwice()

  const around = instance[kScope]
  const settings = mergeSettings(around?.settings ?? DEFAULT_SETTINGS, options)
  instance[kScope] = { settings, policy: compilePolicy(settings) }
  // The hooks of the outermost registration serve this scope too: they ask the scope that they run in.
  if (around === undefined) addHooks(fastify)
}

function addHooks (fastify: FastifyInstance): void {
  let hasRoutePolicies = false

  fastify.decorateReply('cspNonce', {
    getter (this: FastifyReply) {
      return nonceOf(this.raw)
    },
  })

  fastify.addHook('onRoute', function (this: ScopedInstance, route) {
    if (route.secureHeaders === undefined) return
    checkRouteOption(route.secureHeaders)
    const policy = route.secureHeaders === false
      ? null
      : compilePolicy(mergeSettings(this[kScope]?.settings ?? DEFAULT_SETTINGS, route.secureHeaders, ROUTE_OPTION_PATH))
    route.config = { ...route.config, [kRoutePolicy]: policy } as typeof route.config
    hasRoutePolicies = true
  })

  fastify.addHook('onRequest', function (this: ScopedInstance, request, reply, done) {
    // routeOptions builds an object on each read, which a service without route policies need not pay for.
    const routePolicy = hasRoutePolicies ? (request.routeOptions.config as RouteConfig | undefined)?.[kRoutePolicy] : undefined
    const policy = routePolicy === undefined ? this[kScope]?.policy : routePolicy
    if (policy) guardHead(reply, policy)
    done()
  })
}

/**
 * Sends the security headers of its policy with every response of the scope: those of OWASP's Secure Headers Project
 * and a Content-Security-Policy that allows the origin's own files only. Options change the policy header by header.
 *
 * Register it first, and await it before adding routes that have the route option `secureHeaders`.
 *
 * @throws errors of configuration with `exitCode` 78, see {@link errorCodes}
 * @example
 * await app.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc: ["'self'", 'https://img.example'] } } })
 * app.get('/health', { secureHeaders: false }, async () => 'ok')
 */
export const secureHeaders = fp(secureHeadersPlugin, { fastify: '5.x', name: '@fastkeep/secure-headers' })
