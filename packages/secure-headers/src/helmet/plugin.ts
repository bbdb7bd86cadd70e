import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { HelmetBesideSecureHeaders } from '../errors.js'
import type { CspNonce } from '../nonce-views.js'
import { contentSecurityPolicy, type ContentSecurityPolicyOptions, type DirectiveValue } from './content-security-policy.js'
import { compileHeaders, type CompiledHeaders, type HelmetOptions } from './headers.js'

export type FastifyHelmetOptions = HelmetOptions & {
  /** Puts a nonce for scripts and one for styles into each policy, and gives them as `reply.cspNonce`. Default: none. */
  readonly enableCSPNonces?: boolean
  /** `false` sends headers only for routes that have the option `helmet`. Default `true`. */
  readonly global?: boolean
}

export interface FastifyHelmetRouteOptions {
  helmet?: Omit<FastifyHelmetOptions, 'global'> | false
}

/** What a route's `config.helmet` is where the option is `false`. */
interface SkippedRoute {
  readonly skipRoute?: boolean
}

type RouteConfiguration = Omit<FastifyHelmetOptions, 'global'> & SkippedRoute

/** A configuration with all decided but the nonces and what functions say. */
interface Configuration {
  readonly options: HelmetOptions
  readonly hasNonces: boolean
  /** `undefined`: nothing is sent unless `reply.helmet()` is called. */
  readonly headers: CompiledHeaders | undefined
}

type Nonces = Pick<CspNonce, 'script' | 'style'>

const NONCES: Nonces = { script: '\0script\0', style: '\0style\0' }
const NONCE_PLACE = /\0(script|style)\0/g

/**
 * The same options, decorators, headers and messages as @fastify/helmet 13: swap the import. What differs is listed in
 * the package's README.
 */
async function fastifyHelmetPlugin (fastify: FastifyInstance, options: FastifyHelmetOptions): Promise<void> {
  if (fastify.hasPlugin('@fastkeep/secure-headers')) throw new HelmetBesideSecureHeaders()
  const { enableCSPNonces, global: isGlobal = true, ...inherited } = options
  const kRoute = Symbol('secure-headers.helmet')
  // Bound late: a logger is there before a request is.
  const warn = (message: string): void => { fastify.log.warn(message) }
  const whole = configure(inherited, enableCSPNonces === true, warn)
  const defaults: Configuration = isGlobal === false ? { ...whole, headers: undefined } : whole

  if (!fastify.hasReplyDecorator('helmet')) fastify.decorateReply('helmet', null as unknown as FastifyReply['helmet'])
  if (!fastify.hasReplyDecorator('cspNonce')) fastify.decorateReply('cspNonce', null as unknown as never)

  fastify.addHook('onRoute', route => {
    const given = (route as FastifyHelmetRouteOptions).helmet as unknown
    if (given !== undefined) {
      if (given !== false && typeof given !== 'object') throw new Error('Unknown value for route helmet configuration')
      route.config = Object.assign(route.config ?? Object.create(null), { helmet: given === false ? { skipRoute: true } : given })
    }
    const own = (route.config as { helmet?: RouteConfiguration } | undefined)?.helmet
    if (own === undefined) return
    const { enableCSPNonces: ownNonces = enableCSPNonces, skipRoute, ...changes } = own
    const configuration: Configuration = skipRoute === true
      ? { options: inherited, hasNonces: false, headers: undefined }
      : configure({ ...inherited, ...changes }, ownNonces === true, warn)
    Object.assign(route.config as object, { [kRoute]: configuration })
  })

  fastify.addHook('onRequest', (request, reply, done) => {
    const config = request.routeOptions.config as unknown as { readonly [key: symbol]: Configuration | undefined } | undefined
    const { options, hasNonces, headers } = config?.[kRoute] ?? defaults
    const nonces = hasNonces ? { script: createNonce(), style: createNonce() } : undefined
    if (nonces !== undefined) Object.assign(reply, { cspNonce: nonces })
    reply.helmet = changes => {
      const merged = changes === undefined || changes === null ? options : { ...options, ...changes }
      setHeaders(request, reply, compileHeaders(merged, warn), undefined)
    }
    if (headers !== undefined) setHeaders(request, reply, headers, nonces)
    done()
  })
}

function configure (options: HelmetOptions, hasNonces: boolean, warn: (message: string) => void): Configuration {
  const nonced = hasNonces && options.contentSecurityPolicy !== false
    ? { ...options, contentSecurityPolicy: withNonces(options.contentSecurityPolicy) }
    : options
  return { options, hasNonces, headers: compileHeaders(nonced, warn) }
}

/** Both spellings of a directive are known; one that is not given holds the nonce alone. */
function withNonces (policy: ContentSecurityPolicyOptions | boolean | undefined): ContentSecurityPolicyOptions {
  const options = typeof policy === 'object' ? policy : { directives: contentSecurityPolicy.getDefaultDirectives() }
  const directives: Record<string, unknown> = { ...options.directives }
  for (const [kebab, camel, nonce] of [['script-src', 'scriptSrc', NONCES.script], ['style-src', 'styleSrc', NONCES.style]] as const) {
    const key = Array.isArray(directives[kebab]) ? kebab : camel
    const given = directives[key]
    directives[key] = [...Array.isArray(given) ? given as DirectiveValue[] : [], `'nonce-${nonce}'`]
  }
  return { ...options, directives: directives as NonNullable<ContentSecurityPolicyOptions['directives']> }
}

function setHeaders (
  request: FastifyRequest,
  { raw }: FastifyReply,
  { others, contentSecurityPolicy: policy }: CompiledHeaders,
  nonces: Nonces | undefined
): void {
  // First, as helmet has it: where a function fails, no header is set.
  if (policy !== undefined) {
    const value = typeof policy.value === 'string' ? policy.value : policy.value(request.raw, raw)
    raw.setHeader(policy.name, nonces === undefined
      ? value
      : value.replace(NONCE_PLACE, (_, view: string) => nonces[view as keyof Nonces]))
  }
  for (const [name, value] of others) {
    if (value === undefined) raw.removeHeader(name)
    else raw.setHeader(name, value)
  }
}

function createNonce (): string {
  return randomBytes(16).toString('hex')
}

type FastifyHelmet = FastifyPluginAsync<FastifyHelmetOptions> & {
  readonly contentSecurityPolicy: typeof contentSecurityPolicy
}

export const fastifyHelmet: FastifyHelmet = Object.assign(
  fp(fastifyHelmetPlugin, { fastify: '5.x', name: '@fastify/helmet' }), { contentSecurityPolicy })

declare module 'fastify' {
  interface RouteShorthandOptions {
    helmet?: FastifyHelmetRouteOptions['helmet']
  }

  interface FastifyReply {
    /** Two values in hex where the option `enableCSPNonces` is on, else `null`. */
    readonly cspNonce: CspNonce
    /** Sets the headers of this one response anew, with these options over the configured ones. */
    helmet (options?: HelmetOptions | null): void
  }
}
