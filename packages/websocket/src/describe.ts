import type { WebSocketLimits } from './options.js'
import type { RoutePolicy } from './route-policy.js'

/** What is in force on a route, for people and for tests. Durations are in ms, sizes in bytes, `0` is no limit. */
export interface RouteDescription extends Required<WebSocketLimits> {
  origin: 'same-origin' | 'any' | readonly string[] | 'a function'
  authenticates: boolean
  requireTls: boolean
  /** Empty: the first that the client offers. */
  protocols: readonly string[]
  replyTimeout: number
  pingInterval: number
  closeDeadline: number
  drainWindow: number
  /** The ids of the keys; `false` where messages are not signed. */
  signing: readonly string[] | false
  /** How many topics clients may subscribe to; `false` where they may not. */
  topics: number | false
  /** The names of what clients may send; `false` where it goes to the handler as it is. */
  messages: readonly string[] | false
}

export function describePolicy (policy: RoutePolicy): RouteDescription {
  const {
    route: _route, connectionScopes: _scopes, counters: _counters, authenticate, userOf: _userOf, broker: _broker, options: _options, hasEnvelopes, keyRing, messages, topics, origin,
    ...plain
  } = policy
  return {
    ...plain,
    origin: typeof origin === 'function' ? 'a function' : origin,
    authenticates: authenticate !== undefined,
    signing: keyRing === undefined ? false : [...keyRing.keys.keys()],
    topics: topics?.maxPerSocket ?? false,
    messages: hasEnvelopes ? [...messages.keys()] : false,
  }
}
