import type { SlowReaderPolicy, TopicsOptions } from './options.js'

/** What is in force on one route, resolved once when the route is added. */
export interface RoutePolicy {
  /** E.g. `GET /chat`. */
  readonly route: string
  readonly maxPayload: number
  readonly maxBufferedBytes: number
  readonly slowReader: SlowReaderPolicy
  readonly maxMessagesPerSecond: number
  readonly maxBytesPerSecond: number
  readonly maxPendingMessages: number
  readonly idleTimeout: number
  readonly lifetime: number
  readonly closeDeadline: number
  readonly replyTimeout: number
  /** Whether text messages are the envelopes of PROTOCOL.md: the route has `messages` or `topics`. */
  readonly hasEnvelopes: boolean
  readonly topics: Required<TopicsOptions> | undefined
}
