import { arrayOf, boolean, func, integer, nested, oneOf, optionChecker, string, type Rule } from '@fastkeep/options'
import type { FastifyRequest, FastifyTypeProvider, FastifyTypeProviderDefault } from 'fastify'
import type { ServerOptions } from 'ws'
import type { Broker } from './brokers/broker.js'
import { messagesRule, type MessageDefinitions } from './message-definition.js'
import { canonicalOrigin, type OriginOption } from './origin.js'
import { signingKeys, type SigningOptions } from './signing-keys.js'
import type { GuardedWebSocket, Peer } from './socket.js'

/**
 * Says who is asking. What it returns becomes `socket.peer`; nothing (`null`, `undefined`, `false`) or an error
 * refuses the handshake with 401. An error with a `statusCode` from 400 to 499 is answered as it is.
 */
export type Authenticate = (request: FastifyRequest) => Authenticated | Promise<Authenticated>
export type Authenticated = Peer | null | undefined | false

/** What becomes of a topic's messages for a socket that has more than `maxBufferedBytes` waiting. */
export type SlowReaderPolicy = 'close' | 'drop-oldest' | 'keep-latest'

export interface TopicsOptions {
  /** Whether this client may subscribe to this topic. Asked for each `keep.subscribe`; only `true` will do. */
  authorize: (socket: GuardedWebSocket, topic: string) => boolean | Promise<boolean>
  /** How many topics one socket may be subscribed to by messages of its client. Default 100. */
  maxPerSocket?: number
}

/** What a route can have otherwise than the plugin; `0` turns a limit off where 0 is accepted. */
export interface WebSocketLimits {
  /** Bytes of the largest message; a larger one closes the socket with 1009. Default 65,536. */
  maxPayload?: number
  /** Bytes that may wait for a slow reader when something is sent to it. Default 1,048,576. */
  maxBufferedBytes?: number
  /** What happens to a slow reader: close it with 1013, or drop what it missed of topics. Default `'close'`. */
  slowReader?: SlowReaderPolicy
  /** Open sockets, in all (plugin) or on this route; one more is refused with 503. Default 20,000; on a route no limit of its own. */
  maxConnections?: number
  /** Open sockets of one address (of IPv6 one /64); one more is refused with 429. Default 256. */
  maxConnectionsPerAddress?: number
  /** Open sockets of one user; one more is refused with 429. Default 32. */
  maxConnectionsPerUser?: number
  /** Messages, pings and pongs of one socket per second, as many at once; more closes it with 1008. Default 100. */
  maxMessagesPerSecond?: number
  /** Bytes of messages of one socket per second, as many at once; more closes it with 1008. Default 1,048,576. */
  maxBytesPerSecond?: number
  /** Messages that may wait for the handler, or be under way in `messages`. Default 16. */
  maxPendingMessages?: number
  /** Time in ms that a handshake may take, `authenticate` included, before its connection is cut. Default 10,000. */
  handshakeTimeout?: number
  /** Time in ms without a message in either direction, after which a socket is closed with 1013. Default 3,600,000. */
  idleTimeout?: number
  /** Time in ms that a socket may stay open; then it is closed with 1013. Default 86,400,000. */
  lifetime?: number
}

/** What a route can have otherwise than the plugin, and what a handshake must show. */
export interface WebSocketGuardOptions extends WebSocketLimits {
  /** Which pages may open a socket. Default `'same-origin'`. */
  origin?: OriginOption
  /** Whether a handshake must have come over TLS (`request.protocol`). Default `false`. */
  requireTls?: boolean
  /** The subprotocols that the route speaks, the preferred first; the first that the client offers is echoed. Default: none is. */
  protocols?: readonly string[]
  /** Time in ms in which a message with an `id` is answered. Default 10,000. */
  replyTimeout?: number
  /** Signs and verifies each message, see PROTOCOL.md. Default: no. */
  signing?: SigningOptions | false
}

/** What this package decides, or has an option of its own for. */
const OWNED_SERVER_OPTIONS = [
  'noServer', 'server', 'port', 'host', 'backlog', 'path', 'clientTracking', 'maxPayload', 'handleProtocols', 'verifyClient', 'closeTimeout', 'WebSocket'
] as const
type OwnedServerOption = typeof OWNED_SERVER_OPTIONS[number]

export interface WebSocketPluginOptions extends WebSocketGuardOptions {
  /** Who may open a socket. Default: anyone whose origin is right. */
  authenticate?: Authenticate
  /**
   * The user whom a socket counts for in `maxConnectionsPerUser`; `undefined` for none. Default: the peer if it is a
   * string or a number, or its `id` if that is one, otherwise the session's subject.
   */
  userOf?: (peer: Peer, request: FastifyRequest) => string | undefined
  /**
   * Options of ws that this package has none of its own for, such as `perMessageDeflate`. Compressed messages are framed
   * for each socket alone. Default: none.
   */
  options?: Omit<ServerOptions, OwnedServerOption>
  /**
   * Carries publications to other processes. Default: the one for the workers of the engine's supervisor, where the
   * process is one of them, otherwise none.
   */
  broker?: Broker
  /** Time in ms between two pings of a socket; one that has not answered by the next is cut. `0`: no pings. Default 30,000. */
  pingInterval?: number
  /** Time in ms that a peer has to answer a close frame before its connection is cut. Default 1,500. */
  closeDeadline?: number
  /** Time in ms over which the closes of a drain are spread, at most; 200 per second at least. Default 2,000. */
  drainWindow?: number
}

/** What a registration in a scope below changes for the routes of that scope. */
export interface WebSocketScopeOptions extends WebSocketGuardOptions {
  /** Who may open a socket; `false` for anyone whose origin is right. */
  authenticate?: Authenticate | false
}

/** The route option `websocket`, or `wsOptions` beside `wsHandler`: what is not given is that of the scope. */
export interface WebSocketRouteOptions<
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault, Schemas = Record<string, unknown>
> extends WebSocketScopeOptions {
  /** Lets clients of this route subscribe to topics. Default: only the handler can, by `socket.subscribe()`. */
  topics?: TopicsOptions
  /** What clients of this route may send, by name. Default: what they send goes to the handler's listeners. */
  messages?: MessageDefinitions<TypeProvider, Schemas>
}

type Given<Options> = { [Key in keyof Options]-?: Exclude<Options[Key], undefined> }
type Optional = 'authenticate' | 'userOf' | 'broker' | 'options' | 'topics' | 'messages'

/** The plugin's options, with the defaults of those that have one. */
export type ResolvedOptions = Given<Omit<WebSocketPluginOptions, Optional>> & Pick<WebSocketPluginOptions, 'authenticate' | 'userOf' | 'broker' | 'options'>

/** The same as changed by one route. */
export type ResolvedRouteOptions = ResolvedOptions & Pick<WebSocketRouteOptions, 'messages'> & { topics?: Given<TopicsOptions> | undefined }

export const DEFAULTS: ResolvedOptions = {
  origin: 'same-origin',
  requireTls: false,
  protocols: [],
  signing: false,
  maxPayload: 64 * 1024,
  maxBufferedBytes: 1024 * 1024,
  slowReader: 'close',
  maxConnections: 20_000,
  maxConnectionsPerAddress: 256,
  maxConnectionsPerUser: 32,
  maxMessagesPerSecond: 100,
  maxBytesPerSecond: 1024 * 1024,
  maxPendingMessages: 16,
  handshakeTimeout: 10_000,
  replyTimeout: 10_000,
  idleTimeout: 3_600_000,
  lifetime: 86_400_000,
  pingInterval: 30_000,
  closeDeadline: 1_500,
  drainWindow: 2_000,
}

const MAX_TOPICS_PER_SOCKET = 100

const checkOptions = optionChecker('websocket')

const origin: Rule = {
  expected: '"same-origin", "any", an array (not empty) of origins such as "https://chat.example", or a function',
  candidates: ['same-origin', 'any'],
  accepts: value => value === 'same-origin' || value === 'any' || typeof value === 'function' ||
    (Array.isArray(value) && value.length > 0 && value.every(entry => typeof entry === 'string')),
}

/** What setTimeout() can wait for. */
const MAX_MS = 2 ** 31 - 1
const bytes = integer(1, 2 ** 30, 'bytes')
const duration = integer(1, 600_000, 'ms')
const durationOrNever = integer(0, MAX_MS, 'ms')
const count = integer(0, 1e9, '0 for no limit')

const guardRules = {
  origin,
  requireTls: boolean,
  protocols: arrayOf(string('a subprotocol name (a token of RFC 9110)', /^[!#$%&'*+.^_`|~\w-]+$/)),
  signing: { ...nested({ keys: signingKeys }), expected: 'false or an object { keys }' },
  maxPayload: bytes,
  maxBufferedBytes: bytes,
  slowReader: oneOf(['close', 'drop-oldest', 'keep-latest']),
  maxConnections: count,
  maxConnectionsPerAddress: count,
  maxConnectionsPerUser: count,
  maxMessagesPerSecond: count,
  maxBytesPerSecond: count,
  maxPendingMessages: integer(1, 10_000, 'messages'),
  handshakeTimeout: duration,
  replyTimeout: duration,
  idleTimeout: durationOrNever,
  lifetime: durationOrNever,
}

const pluginRules = {
  ...guardRules,
  authenticate: func,
  userOf: func,
  options: {
    expected: `an object of ws's own options, without ${OWNED_SERVER_OPTIONS.join(', ')}`,
    accepts: (value: unknown) => nested({}).accepts(value) && !OWNED_SERVER_OPTIONS.some(name => Object.hasOwn(value as object, name)),
  } satisfies Rule,
  broker: { expected: 'a broker, such as redisBroker() gives', accepts: isBroker } satisfies Rule,
  pingInterval: durationOrNever,
  closeDeadline: duration,
  drainWindow: integer(0, 600_000, 'ms'),
}

const scopeRules = {
  ...guardRules,
  authenticate: { expected: 'a function or false', accepts: (value: unknown) => value === false || func.accepts(value) } satisfies Rule,
}

const topicsRule = nested({ authorize: func, maxPerSocket: integer(1, 1e6, 'topics') })

/** Throws FST_KEEP_WEBSOCKET_OPTION_UNKNOWN or FST_KEEP_WEBSOCKET_OPTION_INVALID. */
export function resolveOptions (options: WebSocketPluginOptions, defaults = DEFAULTS): ResolvedOptions {
  checkOptions(options, orFalse(options, pluginRules))
  checkOriginList('origin', options.origin)
  return { ...defaults, ...given(options) }
}

/** The options of the scope above, as changed by a registration in a scope below. Throws as {@link resolveOptions} does. */
export function resolveScopeOptions (above: ResolvedOptions, changes: WebSocketScopeOptions): ResolvedOptions {
  checkOptions(changes, orFalse(changes, scopeRules))
  checkOriginList('origin', changes.origin)
  return changed(above, changes)
}

/**
 * The options of a scope, as changed by one route.
 *
 * @param key under which the route has them: `websocket` or `wsOptions`
 * @throws as {@link resolveOptions} does
 */
export function resolveRouteOptions (scope: ResolvedOptions, key: string, { topics, messages, ...changes }: WebSocketRouteOptions): ResolvedRouteOptions {
  const rules = { ...orFalse(changes, scopeRules), topics: topicsRule, messages: messagesRule(messages) }
  checkOptions({ [key]: { ...changes, topics, messages } }, { [key]: nested(rules) })
  checkOriginList(`${key}.origin`, changes.origin)
  if (topics !== undefined && !func.accepts(topics.authorize)) {
    throw invalid(`option "${key}.topics" must have a function "authorize", which says who may subscribe to what`)
  }
  return {
    ...changed(scope, changes),
    messages,
    topics: topics && { ...topics, maxPerSocket: topics.maxPerSocket ?? MAX_TOPICS_PER_SOCKET },
  }
}

function changed (options: ResolvedOptions, changes: WebSocketScopeOptions): ResolvedOptions {
  const authenticate = changes.authenticate ?? options.authenticate
  return { ...options, ...given(changes), authenticate: authenticate === false ? undefined : authenticate }
}

function isBroker (value: unknown): boolean {
  return ['open', 'publish', 'subscribe', 'unsubscribe', 'close'].every(method => typeof (Object(value) as Record<string, unknown>)[method] === 'function')
}

/** `signing: false` has no keys of its own to check. */
function orFalse<Rules extends { signing: Rule }> ({ signing }: WebSocketGuardOptions, rules: Rules): Rules {
  return signing === false ? { ...rules, signing: boolean } : rules
}

function given<Options extends object> (options: Options): Given<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<Options>
}

/** An entry that no browser can ever send would refuse its own users, or be read as something wider by its author. */
function checkOriginList (key: string, option: OriginOption | undefined): void {
  if (!Array.isArray(option)) return
  for (const entry of option as readonly string[]) {
    if (canonicalOrigin(entry) === entry) continue
    throw invalid(`option "${key}" lists ${JSON.stringify(entry)}, which is not a bare origin (scheme, host, port unless it is the default)${meant(entry)}`)
  }
}

function meant (entry: string): string {
  const origin = URL.canParse(entry) ? canonicalOrigin(new URL(entry).origin) : undefined
  return origin === undefined ? '' : `, did you mean "${origin}"?`
}

function invalid (what: string): Error {
  return Object.assign(new checkOptions.OptionInvalid(`websocket: ${what}`), { exitCode: 78 })
}
