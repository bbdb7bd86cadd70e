import type { CompiledMessages } from './compile-messages.js'
import type { ConnectionCounts } from './connection-limits.js'
import type { ResolvedRouteOptions } from './options.js'
import type { KeyRing } from './signing.js'
import type { RouteCounters } from './statistics.js'

/** What is in force on one route, resolved once when the route is added, and what is counted on it. */
export interface RoutePolicy extends Readonly<Omit<ResolvedRouteOptions, 'messages' | 'signing'>> {
  /** E.g. `GET /chat`. */
  readonly route: string
  /** Whether text messages are the envelopes of PROTOCOL.md: the route has `messages` or `topics`. */
  readonly hasEnvelopes: boolean
  /** Empty until the app is ready. */
  readonly messages: CompiledMessages
  readonly keyRing: KeyRing | undefined
  /** The scopes in which its connections count. */
  readonly connectionScopes: readonly ConnectionCounts[]
  readonly counters: RouteCounters
}
