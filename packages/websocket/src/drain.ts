import { once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket, WebSocketServer } from 'ws'
import type { InnerSocket } from './guarded-socket.js'
import { report } from './report.js'
import type { Upgrades } from './upgrades.js'

/**
 * What this package asks of an engine that drains the server before `app.close()`: to be called when that begins,
 * with a signal that aborts when time is up; and whether another process has taken over. Its status shows the counts
 * of all routes.
 */
export interface DrainingEngine {
  addStatus? (name: string, read: () => unknown): () => void
  server?: {
    onDrain? (drain: (signal?: AbortSignal) => Promise<void>): unknown
    readonly isHandedOver?: boolean
  }
}

export interface Drain {
  /** Joins the drain under way or begins it; resolves when no socket is left. Cuts what is left when the signal aborts. */
  (signal?: AbortSignal): Promise<void>
  readonly hasBegun: boolean
}

export interface DrainOptions {
  server: WebSocketServer
  upgrades: Upgrades
  /** Whether another process accepts connections already. */
  isReplaced: () => boolean
  /** Time in ms over which the close frames are spread. */
  drainWindow: number
  /** Time in ms that peers have to answer the close frame. */
  closeDeadline: number
  log: FastifyBaseLogger
}

/** Close code and reason: "going away" of RFC 6455, 7.4.1, and "service restart" of the registry it made. */
const GOING_AWAY = [1001, 'server is shutting down'] as const
const SERVICE_RESTART = [1012, 'server restarts'] as const

/** What ws says where no close frame came. */
const NO_CLOSE_FRAME = 1006

/** ms between two close frames at most: a few sockets need no window. */
const WIDEST_GAP = 5
/** ms of a hint that is worth its bytes. */
const SHORTEST_HINT = 100
/** ms between two batches of close frames. */
const TICK = 10

export function createDrain ({ server, upgrades, isReplaced, drainWindow, closeDeadline, log }: DrainOptions): Drain {
  const cutNow = new AbortController()
  let drained: Promise<void> | undefined
  let goodbye: readonly [code: number, reason: string] = GOING_AWAY
  let terminated = 0

  function cut (): void {
    cutNow.abort()
    terminated += upgrades.cut()
    // Whom the window had not come to yet is told too; to the others this is nothing new.
    const [code, reason] = goodbye
    const rest = hint(windowFor(server.clients.size))
    for (const socket of server.clients) {
      socket.close(code, reason + rest)
      socket.terminate()
    }
  }

  async function begin (): Promise<void> {
    const sockets = [...server.clients]
    if (isReplaced()) goodbye = SERVICE_RESTART
    for (const socket of sockets) socket.once('close', (closeCode: number) => { if (closeCode === NO_CLOSE_FRAME) terminated++ })
    const closed = once(server, 'close')
    // A handshake that passed the guard just now is answered 503 by ws itself.
    server.close()
    const [code, reason] = goodbye
    await closeSpread(sockets, windowFor(sockets.length), (socket, left) => {
      // A new process takes connections already; this one has nobody after it until it is gone.
      const rest = code === SERVICE_RESTART[0] ? '' : hint(left);
      (socket as InnerSocket).guard.bidFarewell(() => socket.close(code, reason + rest))
    }, cutNow.signal)
    // Not unref'd: who waits for the drain must hear of its end, even if sockets of `injectWS` are all that is left.
    const timer = setTimeout(cut, closeDeadline)
    await Promise.all([closed, upgrades.whenIdle()])
    clearTimeout(timer)
    report(log, terminated > 0 ? 'warn' : 'info', 'drained',
      { code: 'FST_KEEP_WEBSOCKET_DRAINED', closeCode: goodbye[0], sockets: sockets.length, terminated },
      `WebSockets drained: ${sockets.length} told, ${terminated} cut`)
  }

  /** ms */
  function windowFor (count: number): number {
    return Math.min(drainWindow, count * WIDEST_GAP)
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

/** What a client is told of the ms in which it should not come again (PROTOCOL.md): nothing of a moment. */
function hint (ms: number): string {
  return ms < SHORTEST_HINT ? '' : `; retry-after=${Math.ceil(ms / 100) / 10}`
}

/** Tells all sockets within the window (ms), evenly, so that their clients do not return all at once. */
function closeSpread (
  sockets: readonly WebSocket[], window: number, close: (socket: WebSocket, left: number) => void, signal: AbortSignal
): Promise<void> {
  const perTick = Math.max(1, Math.ceil(sockets.length / Math.max(1, window / TICK)))
  const batches = Array.from({ length: Math.ceil(sockets.length / perTick) }, (_, index) => sockets.slice(index * perTick, (index + 1) * perTick))
  const total = batches.length
  return new Promise(resolve => {
    function next (): void {
      const left = window * batches.length / total
      for (const socket of batches.shift() ?? []) close(socket, left)
      if (batches.length === 0 || signal.aborted) resolve()
      else setTimeout(next, TICK)
    }
    next()
  })
}
