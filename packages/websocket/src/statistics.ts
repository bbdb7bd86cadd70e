import type { WebSocket } from 'ws'
import type { InnerSocket } from './guarded-socket.js'
import type { RoutePolicy } from './route-policy.js'

/** What has happened on one route since the app began. */
export interface RouteStatistics {
  /** Open sockets. */
  open: number
  /** Handshakes that ended in a socket. */
  opened: number
  /** Refused handshakes, by code. */
  refused: Record<string, number>
  /** Closed sockets, by close code: the one this side sent first, otherwise the one that came; 1006 without either. */
  closed: Record<number, number>
  /** Sockets that this package closed, by the code of why. */
  closedBecause: Record<string, number>
  /** Messages that came. */
  received: number
  /** Publications that sockets did not get because their peers were behind (`slowReader`). */
  leftOut: number
  /** Messages that wait for a handler. */
  pending: number
  /** Bytes that wait for peers to read them, of all open sockets and of the one with the most. */
  bufferedBytes: number
  mostBufferedBytes: number
}

/** Counts of one route. */
export class RouteCounters {
  opened = 0
  received = 0
  leftOut = 0
  readonly #refused = new Map<string, number>()
  readonly #closed = new Map<number, number>()
  readonly #closedBecause = new Map<string, number>()

  refused (code: string): void { increment(this.#refused, code) }
  closed (closeCode: number): void { increment(this.#closed, closeCode) }
  closedBecause (code: string): void { increment(this.#closedBecause, code) }

  snapshot (sockets: readonly InnerSocket[]): RouteStatistics {
    const buffered = sockets.map(({ bufferedAmount }) => bufferedAmount)
    return {
      open: sockets.length,
      opened: this.opened,
      refused: Object.fromEntries(this.#refused),
      closed: Object.fromEntries(this.#closed),
      closedBecause: Object.fromEntries(this.#closedBecause),
      received: this.received,
      leftOut: this.leftOut,
      pending: sum(sockets.map(({ guard }) => guard.pending)),
      bufferedBytes: sum(buffered),
      mostBufferedBytes: buffered.reduce((most, bytes) => Math.max(most, bytes), 0),
    }
  }
}

/** The counts of all routes, each with its open sockets. */
export function snapshotOf (policies: Iterable<RoutePolicy>, clients: Iterable<WebSocket>): Record<string, RouteStatistics> {
  const sockets = [...clients as Iterable<InnerSocket>]
  return Object.fromEntries([...policies].map(policy => [policy.route, policy.counters.snapshot(sockets.filter(({ guard }) => guard.policy === policy))]))
}

function increment<Key> (counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function sum (numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
