import type { FastifyBaseLogger, FastifyInstance, RouteOptions } from 'fastify'
import type { WebSocket } from 'ws'
import { compileMessages, OWN_MESSAGES, TOPIC_MESSAGES, type CompiledMessages } from './compile-messages.js'
import { ConnectionCounts, Seat } from './connection-limits.js'
import { describePolicy, type RouteDescription } from './describe.js'
import { RegisteredTwice, RouteUnknown } from './errors.js'
import type { MessageDefinitions } from './message-definition.js'
import { resolveRouteOptions, resolveScopeOptions, type ResolvedOptions, type WebSocketRouteOptions, type WebSocketScopeOptions } from './options.js'
import { routeOptionsOf } from './route-options.js'
import type { RoutePolicy } from './route-policy.js'
import { keyRing } from './signing.js'
import type { Admission } from './socket-guard.js'
import { RouteCounters, snapshotOf, type RouteStatistics } from './statistics.js'

/** The WebSocket routes of an app: what is in force on each, and what has happened there. */
export class Routes {
  readonly #scopes = new WeakMap<object, ResolvedOptions>()
  readonly #counts: ConnectionCounts
  readonly #policies = new Map<string, RoutePolicy>()
  readonly #stranger: RoutePolicy

  constructor (root: FastifyInstance, options: ResolvedOptions) {
    this.#scopes.set(root, options)
    this.#counts = new ConnectionCounts(options)
    this.#stranger = this.#policy('', { ...options, messages: undefined }, {}, new Map())
  }

  /**
   * The routes that are added to this scope from now on, and below it, have these options.
   *
   * @throws FST_KEEP_WEBSOCKET_REGISTERED_TWICE
   */
  addScope (instance: FastifyInstance, options: WebSocketScopeOptions): void {
    if (this.#scopes.has(instance)) throw new RegisteredTwice()
    this.#scopes.set(instance, resolveScopeOptions(this.#optionsOf(instance), options))
  }

  /** @returns `undefined` for a route that takes no WebSocket */
  add (instance: FastifyInstance, route: RouteOptions): RoutePolicy | undefined {
    const name = `${[route.method].flat().join(',')} ${route.url}`
    const given = routeOptionsOf(route, name)
    // The HEAD route that Fastify adds to a GET route has the options of that one.
    if (given === undefined || [route.method].flat().every(method => method === 'HEAD')) return undefined
    const options = resolveRouteOptions(this.#optionsOf(instance), given.key, given.options)
    const messages = new Map(options.topics === undefined ? OWN_MESSAGES : [...OWN_MESSAGES, ...TOPIC_MESSAGES])
    const policy = this.#policy(name, options, given.options, messages)
    if (options.messages !== undefined) compileWhenReady(instance, route, options.messages, messages)
    this.#policies.set(name, policy)
    return policy
  }

  /** The terms for a socket that somebody made past the routes, with `websocketServer.handleUpgrade()`. */
  stranger (log: FastifyBaseLogger): Admission {
    return { peer: undefined, policy: this.#stranger, seat: new Seat(undefined), log }
  }

  /** @throws FST_KEEP_WEBSOCKET_ROUTE_UNKNOWN */
  describe (route: string): RouteDescription {
    const policy = this.#policies.get(route)
    if (policy === undefined) throw new RouteUnknown(JSON.stringify(route), [...this.#policies.keys()].join(', ') || 'none')
    return describePolicy(policy)
  }

  statistics (clients: Iterable<WebSocket>): Record<string, RouteStatistics> {
    return snapshotOf(this.#policies.values(), clients)
  }

  #optionsOf (instance: FastifyInstance): ResolvedOptions {
    let scope: object = instance
    while (!this.#scopes.has(scope)) scope = Object.getPrototypeOf(scope) as object
    return this.#scopes.get(scope) as ResolvedOptions
  }

  #policy (
    route: string, { signing, ...options }: ReturnType<typeof resolveRouteOptions>,
    { maxConnections = 0, maxConnectionsPerAddress = 0, maxConnectionsPerUser = 0 }: WebSocketRouteOptions, messages: CompiledMessages
  ): RoutePolicy {
    const limits = { maxConnections, maxConnectionsPerAddress, maxConnectionsPerUser }
    const hasOwnLimits = Object.values(limits).some(limit => limit > 0)
    return {
      ...options,
      route,
      messages,
      hasEnvelopes: options.messages !== undefined || options.topics !== undefined,
      keyRing: signing === false ? undefined : keyRing(signing),
      connectionScopes: hasOwnLimits ? [this.#counts, new ConnectionCounts(limits)] : [this.#counts],
      counters: new RouteCounters(),
    }
  }
}

/**
 * The compilers of an instance are there once it is ready, and only if a route has a schema for them: an empty one for
 * headers, which accepts any, and an empty list of responses ask for both.
 */
function compileWhenReady (instance: FastifyInstance, route: RouteOptions, definitions: MessageDefinitions, into: Map<string, unknown>): void {
  route.schema = { ...route.schema, headers: route.schema?.headers ?? {}, response: route.schema?.response ?? {} }
  instance.addHook('onReady', async () => {
    for (const [type, message] of compileMessages(instance, { method: 'GET', url: route.url }, definitions)) into.set(type, message)
  })
}
