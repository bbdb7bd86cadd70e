import { func, integer, nested, optionChecker, type Rule } from '@fastkeep/options'
import type { FastifyRequest } from 'fastify'
import { canonicalOrigin, type OriginOption } from './origin.js'
import type { Peer } from './socket.js'

/**
 * Says who is asking. What it returns becomes `socket.peer`; nothing (`null`, `undefined`, `false`) or an error
 * refuses the handshake with 401. An error with a `statusCode` from 400 to 499 is answered as it is.
 */
export type Authenticate = (request: FastifyRequest) => Authenticated | Promise<Authenticated>
export type Authenticated = Peer | null | undefined | false

export interface WebSocketPluginOptions {
  /** Which pages may open a socket. Default `'same-origin'`. */
  origin?: OriginOption
  /** Who may open a socket. Default: anyone whose origin is right. */
  authenticate?: Authenticate
  /** Bytes of the largest message; a larger one closes the socket with 1009. Default 65,536. */
  maxPayload?: number
  /** Bytes that may wait for a slow reader when something is sent to it; more closes it with 1013. Default 1,048,576. */
  maxBufferedBytes?: number
  /** Time in ms that a peer has to answer a close of ours before its connection is cut. Default 1,500. */
  closeDeadline?: number
  /** Time in ms that a handshake may take, `authenticate` included, before its connection is cut. Default 10,000. */
  handshakeTimeout?: number
}

/** The route option `wsOptions`: what is not given is the plugin's. */
export interface WebSocketRouteOptions {
  /** Which pages may open a socket on this route. */
  origin?: OriginOption
  /** Who may open a socket on this route; `false` for anyone whose origin is right. */
  authenticate?: Authenticate | false
}

export type ResolvedOptions = Required<Omit<WebSocketPluginOptions, 'authenticate'>> & Pick<WebSocketPluginOptions, 'authenticate'>

const DEFAULTS = {
  origin: 'same-origin',
  maxPayload: 64 * 1024,
  maxBufferedBytes: 1024 * 1024,
  closeDeadline: 1_500,
  handshakeTimeout: 10_000,
} as const

const checkOptions = optionChecker('websocket')

const origin: Rule = {
  expected: '"same-origin", an array (not empty) of origins such as "https://chat.example", or a function',
  candidates: ['same-origin'],
  accepts: value => value === 'same-origin' || typeof value === 'function' ||
    (Array.isArray(value) && value.length > 0 && value.every(entry => typeof entry === 'string')),
}

const authenticateOrFalse: Rule = { expected: 'a function or false', accepts: value => value === false || func.accepts(value) }

const pluginRules = {
  origin,
  authenticate: func,
  maxPayload: integer(1, 2 ** 30, 'bytes'),
  maxBufferedBytes: integer(1, 2 ** 30, 'bytes'),
  closeDeadline: integer(1, 600_000, 'ms'),
  handshakeTimeout: integer(1, 600_000, 'ms'),
}

const routeRules = { wsOptions: nested({ origin, authenticate: authenticateOrFalse }) }

/** Throws FST_KEEP_WEBSOCKET_OPTION_UNKNOWN or FST_KEEP_WEBSOCKET_OPTION_INVALID. */
export function resolveOptions (options: WebSocketPluginOptions): ResolvedOptions {
  checkOptions(options, pluginRules)
  checkOriginList('origin', options.origin)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...DEFAULTS, ...given }
}

/** The plugin's options as changed by one route. Throws as {@link resolveOptions} does. */
export function resolveRouteOptions (options: ResolvedOptions, wsOptions: WebSocketRouteOptions = {}): ResolvedOptions {
  checkOptions({ wsOptions }, routeRules)
  checkOriginList('wsOptions.origin', wsOptions.origin)
  return {
    ...options,
    origin: wsOptions.origin ?? options.origin,
    authenticate: wsOptions.authenticate === false ? undefined : wsOptions.authenticate ?? options.authenticate,
  }
}

/** An entry that no browser can ever send would refuse its own users, or be read as something wider by its author. */
function checkOriginList (key: string, option: OriginOption | undefined): void {
  if (!Array.isArray(option)) return
  for (const entry of option as readonly string[]) {
    if (canonicalOrigin(entry) === entry) continue
    throw Object.assign(new checkOptions.OptionInvalid(
      `websocket: option "${key}" lists ${JSON.stringify(entry)}, which is not a bare origin (scheme, host, port unless it is the default)${meant(entry)}`), { exitCode: 78 })
  }
}

function meant (entry: string): string {
  const origin = URL.canParse(entry) ? canonicalOrigin(new URL(entry).origin) : undefined
  return origin === undefined ? '' : `, did you mean "${origin}"?`
}
