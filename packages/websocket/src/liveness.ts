import type { WebSocket } from 'ws'
import type { InnerSocket } from './guarded-socket.js'

/** ms between two looks at the sockets, unless a timeout is so short that it asks for more. */
const LONGEST_TICK = 1_000
const SHORTEST_TICK = 10
/** A timeout is noticed this part of it late at most. */
const PRECISION = 8

/** Asks all sockets of a server whether they are still there, from one timer that runs while there is a socket. */
export class Liveness {
  readonly #sockets: () => Iterable<WebSocket>
  readonly #pingInterval: number
  #tick = LONGEST_TICK
  #timer: NodeJS.Timeout | undefined

  /** @param pingInterval ms; `0` for no pings */
  constructor (sockets: () => Iterable<WebSocket>, pingInterval: number) {
    this.#sockets = sockets
    this.#pingInterval = pingInterval
    this.expect(pingInterval)
  }

  /** A route has a timeout (ms, `0` for none) that is to be noticed in time. */
  expect (timeout: number): void {
    if (timeout > 0) this.#tick = Math.max(SHORTEST_TICK, Math.min(this.#tick, timeout / PRECISION))
  }

  /** A socket was opened. @returns when it is to be pinged first: somewhere in the interval, so that pings are spread */
  add (now: number): number {
    this.#timer ??= setInterval(() => {
      const now = performance.now()
      // When all that had come by now is read: after a process was held up, answers wait.
      setImmediate(() => this.#look(now))
    }, this.#tick).unref()
    return this.#pingInterval === 0 ? Infinity : now + Math.random() * this.#pingInterval
  }

  stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look (now: number): void {
    const sockets = [...this.#sockets()]
    if (sockets.length === 0) this.stop()
    for (const socket of sockets) (socket as InnerSocket).guard.look(now, this.#pingInterval)
  }
}
