import { once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocketServer } from 'ws'
import { report } from './report.js'
import type { Upgrades } from './upgrades.js'

/**
 * What this package asks of an engine that drains the server before `app.close()`: to be called when that begins,
 * with a signal that aborts when time is up.
 */
export interface DrainingEngine {
  server?: { onDrain? (drain: (signal?: AbortSignal) => Promise<void>): unknown }
}

export interface Drain {
  /** Joins the drain under way or begins it; resolves when no socket is left. Cuts what is left when the signal aborts. */
  (signal?: AbortSignal): Promise<void>
  readonly hasBegun: boolean
}

export interface DrainOptions {
  server: WebSocketServer
  upgrades: Upgrades
  /** Time in ms that peers have to answer the close frame. */
  closeDeadline: number
  log: FastifyBaseLogger
}

/** Close code "going away" of RFC 6455, 7.4.1. */
const GOING_AWAY = 1001

export function createDrain ({ server, upgrades, closeDeadline, log }: DrainOptions): Drain {
  let drained: Promise<void> | undefined
  let terminated = 0

  function cut (): void {
    terminated += server.clients.size + upgrades.cut()
    for (const socket of server.clients) socket.terminate()
  }

  async function begin (): Promise<void> {
    const sockets = server.clients.size
    // Not unref'd: who waits for the drain must hear of its end, even if sockets of `injectWS` are all that is left.
    const timer = setTimeout(cut, closeDeadline)
    const closed = once(server, 'close')
    // A handshake that passed the guard just now is answered 503 by ws itself.
    server.close()
    for (const socket of server.clients) socket.close(GOING_AWAY, 'server is shutting down')
    await Promise.all([closed, upgrades.whenIdle()])
    clearTimeout(timer)
    report(log, terminated > 0 ? 'warn' : 'info', 'drained', { code: 'FST_KEEP_WEBSOCKET_DRAINED', sockets, terminated },
      `WebSockets drained: ${sockets} told, ${terminated} cut`)
  }

  async function drain (signal?: AbortSignal): Promise<void> {
    drained ??= begin()
    if (signal?.aborted === true) cut()
    signal?.addEventListener('abort', cut)
    try {
      await drained
    } finally {
      signal?.removeEventListener('abort', cut)
    }
  }

  return Object.defineProperty(drain, 'hasBegun', { get: () => drained !== undefined }) as Drain
}
