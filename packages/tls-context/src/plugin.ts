import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { SecureServer } from './attachment.js'
import type { Finding } from './certificates/finding.js'
import { tlsConnectionOf, type TlsConnection } from './connection.js'
import { checkOptions, tlsContextError } from './errors.js'
import { joinEngine, type Engine } from './engine.js'
import type { ContextEvent } from './events.js'
import { assertClientCert, resolveDemand, type ClientCertDemand, type ClientCertOption } from './peer/client-cert.js'
import type { ServerContext } from './server-context.js'
import type { TicketSharing } from './ticket-sharing.js'

export interface TlsContextOptions {
  /** The context that the app was made with: renewed in place, its warnings and events logged. */
  context?: ServerContext
  /** What the routes of this scope ask of the client's certificate, unless they say otherwise. Default: nothing. */
  clientCert?: ClientCertOption
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What the TLS handshake of this request's connection agreed on; `null` over plain HTTP. */
    readonly tls: TlsConnection | null
  }

  interface RouteShorthandOptions {
    /** `true`: the client needs an authorized certificate; rules or a function: one of these; `false`: none is needed. */
    clientCert?: ClientCertOption
  }
}

const optionRules = {
  context: { expected: 'what createServerContext() gives', accepts: (value: unknown) => typeof (value as Partial<ServerContext> | null)?.attach === 'function' },
  clientCert: { expected: 'a boolean, rules or a function', accepts: () => true },
}

const kScope = Symbol('tls-context.scope')
const kDemand = Symbol('tls-context.demand')

/** The scope's demand and context; child scopes see them through Fastify's prototype chain until they register their own. */
interface Scope {
  readonly demand: ClientCertDemand | null
  readonly context: ServerContext | undefined
}

type ScopedInstance = FastifyInstance & { [kScope]?: Scope }

/**
 * Decorates `request.tls` and lets routes ask for client certificates. With a context it renews certificates in place, on
 * changes of the files and on `graceful` of an engine, and logs what it has to say.
 *
 * Throws `OPTION_UNKNOWN`, `OPTION_INVALID`, `TLS_REQUIRED` where the app serves without TLS, `ROUTE_REFUSED` for a route
 * that asks for certificates of a context that does not, with `exitCode` 78.
 *
 * @example
 * await app.register(tlsContext, { context })
 * app.get('/', request => request.tls?.protocol ?? 'plain HTTP')
 * app.get('/admin', { clientCert: { organization: 'Example' } }, request => request.tls.peer.commonName)
 */
export async function plugin (fastify: FastifyInstance, options: TlsContextOptions): Promise<void> {
  checkOptions(options, optionRules)
  const instance: ScopedInstance = fastify
  const around = instance[kScope]
  const context = options.context ?? around?.context
  const demand = options.clientCert === undefined ? around?.demand ?? null : resolveDemand(options.clientCert)
  if (demand !== null) assertPossible(context, 'option "clientCert"')
  instance[kScope] = { demand, context }
  // The hooks of the outermost registration serve this scope too: they ask the scope that they run in.
  if (around === undefined) addHooks(fastify)
  // It may be registered again, with other demands, for a scope within.
  if (options.context !== undefined && options.context !== around?.context) serveWith(fastify, options.context)
}

function addHooks (fastify: FastifyInstance): void {
  fastify.decorateRequest('tls', {
    getter (this: FastifyRequest) {
      return tlsConnectionOf(this.raw)
    },
  })

  fastify.addHook('onRoute', function (this: ScopedInstance, route: RouteOptions) {
    const scope = this[kScope]
    const demand = route.clientCert === undefined ? scope?.demand ?? null : resolveDemand(route.clientCert)
    if (demand === null) return
    assertPossible(scope?.context, `route ${[route.method].flat().join(',')} ${route.url}: option "clientCert"`)
    route.config = { ...route.config, [kDemand]: demand } as typeof route.config
    // First of the route's own, so that nothing is done for whoever may not be there.
    route.onRequest = [async (request: FastifyRequest) => { await assertClientCert(request, demand) }, ...[route.onRequest ?? []].flat()] as typeof route.onRequest
  })
}

/** What a route asks of client certificates: `false`, `true`, rules or a function. */
export function describeRoute (request: FastifyRequest): ClientCertOption {
  return (request.routeOptions.config as { [kDemand]?: ClientCertDemand } | undefined)?.[kDemand]?.option ?? false
}

function assertPossible (context: ServerContext | undefined, what: string): void {
  if (context?.clientMode !== 'off') return
  throw tlsContextError('ROUTE_REFUSED', `${what} asks for client certificates, and the context does not: give createServerContext() the option "client", { mode: 'request', ca }`)
}

function serveWith (fastify: FastifyInstance, context: ServerContext): void {
  const { log } = fastify
  if (!isSecureServer(fastify.server)) throw tlsContextError('TLS_REQUIRED', 'option "context" is given, and the app serves without TLS: make it with Fastify({ https: context.options })')
  const told = new Set<string>()
  const tell = (): void => {
    for (const found of context.findings) {
      if (told.has(found.message)) continue
      told.add(found.message)
      logFinding(fastify, found)
    }
  }
  const ends = [
    context.attach(fastify.server),
    context.listen((event, details) => {
      log[levels[event]]({ code: `FST_KEEP_TLS_CONTEXT_${event.toUpperCase().replaceAll('-', '_')}`, ...details }, texts[event])
      if (event === 'reloaded') tell()
    }),
  ]
  tell()

  const join = (): TicketSharing | undefined => {
    const { engine } = fastify as { engine?: Engine }
    const joined = engine && joinEngine(engine, context)
    if (joined !== undefined) ends.push(joined.end)
    return joined
  }
  const joined = join()
  fastify.addHook('onReady', async () => {
    // The engine may have been registered after this plugin.
    await Promise.all([context.ready(), (joined ?? join())?.settled])
  })
  // "localhost" may be two addresses, and Fastify makes a server of its own for the second.
  fastify.addHook('onListen', async function () {
    for (const server of secondaryServers(this)) ends.push(context.attach(server))
  })
  fastify.addHook('onClose', async () => {
    for (const end of ends) end()
  })
}

const levels: Readonly<Record<ContextEvent, 'info' | 'warn' | 'error'>> = {
  reloaded: 'info',
  'reload-failed': 'error',
  stapled: 'info',
  'staple-failed': 'warn',
  'peer-refused': 'info',
  'expires-soon': 'warn',
  'watch-failed': 'warn',
}

const texts: Readonly<Record<ContextEvent, string>> = {
  reloaded: 'TLS certificates renewed in place',
  'reload-failed': 'TLS certificates not renewed, the earlier ones serve on',
  stapled: 'OCSP response stapled',
  'staple-failed': 'no OCSP response to staple',
  'peer-refused': 'a client certificate was refused',
  'expires-soon': 'a TLS certificate is near its end and has not been renewed',
  'watch-failed': 'changes of TLS files may go unnoticed',
}

function logFinding ({ log }: FastifyInstance, { code, severity, message, fix }: Finding): void {
  log[severity === 'info' ? 'info' : 'warn']({ code: `FST_KEEP_TLS_CONTEXT_${code}` }, `${message}: ${fix}`)
}

function isSecureServer (server: unknown): server is SecureServer {
  return typeof (server as Partial<SecureServer>).setSecureContext === 'function'
}

function secondaryServers (app: FastifyInstance): SecureServer[] {
  const bindings = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.server.bindings')
  const servers = bindings === undefined ? [] : (app as unknown as Record<symbol, unknown>)[bindings]
  return Array.isArray(servers) ? servers.filter(isSecureServer) : []
}
