import { boolean, nested, optionChecker } from '@fastkeep/options'
import { DEFAULTS, resolveOptions, type ResolvedOptions, type WebSocketPluginOptions } from '../options.js'

/** The options of `@fastkeep/websocket`, each off until it is given, and four guards that are no options there. */
export interface WebsocketGuards extends Omit<WebSocketPluginOptions, 'options'> {
  /** A handler or listener that throws or rejects is logged and closes its socket with 1011. Excludes `errorHandler`. Default `false`. */
  errors?: boolean
  /** Messages wait for the handler's first listener, `maxPendingMessages` (16) of them. Default `false`: they are lost. */
  earlyMessages?: boolean
  /**
   * `app.close()` tells all sockets within `drainWindow` (2,000 ms) and cuts them after `closeDeadline` (1,500 ms).
   * Excludes `preClose`. Default `false`: a silent peer holds it up for 30 s.
   */
  drain?: boolean
  /** An upgrade on a route without a WebSocket handler is answered 404. Default `false`: it is accepted and closed. */
  otherRoutes?: boolean
}

/** What @fastify/websocket and ws do. */
const UNGUARDED: ResolvedOptions = {
  ...DEFAULTS,
  origin: 'any',
  maxPayload: 100 * 1024 * 1024,
  maxBufferedBytes: Infinity,
  maxConnections: 0,
  maxConnectionsPerAddress: 0,
  maxConnectionsPerUser: 0,
  maxMessagesPerSecond: 0,
  maxBytesPerSecond: 0,
  handshakeTimeout: 0,
  idleTimeout: 0,
  lifetime: 0,
  pingInterval: 0,
}

/** Of ws: how long it waits for the answer to a close frame, in ms. */
const CLOSE_TIMEOUT = 30_000

const SWITCHES = { errors: boolean, earlyMessages: boolean, drain: boolean, otherRoutes: boolean }

export type Switches = Required<Pick<WebsocketGuards, keyof typeof SWITCHES>>

const checkOptions = optionChecker('websocket')

/** What is on, and how. Throws FST_KEEP_WEBSOCKET_OPTION_UNKNOWN and FST_KEEP_WEBSOCKET_OPTION_INVALID. */
export function resolveGuards ({ errors = false, earlyMessages = false, drain = false, otherRoutes = false, ...options }: WebsocketGuards): { switches: Switches, options: ResolvedOptions } {
  const switches = { errors, earlyMessages, drain, otherRoutes }
  checkOptions({ guards: switches }, { guards: nested(SWITCHES) })
  const closeDeadline = drain ? DEFAULTS.closeDeadline : CLOSE_TIMEOUT
  return { switches, options: resolveOptions(options, { ...UNGUARDED, closeDeadline }) }
}
