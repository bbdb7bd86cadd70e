import type { WebSocket } from 'ws'
import type { InnerSocket } from './guarded-socket.js'
import { Ticker } from './ticker.js'

/** Asks all sockets of a server whether they are still there, from one timer that runs while there is a socket. */
export class Liveness {
  readonly #pingInterval: number
  readonly #ticker: Ticker

  /** @param pingInterval ms; `0` for no pings */
  constructor (sockets: () => Iterable<WebSocket>, pingInterval: number) {
    this.#pingInterval = pingInterval
    this.#ticker = new Ticker(now => {
      const all = [...sockets()]
      for (const socket of all) (socket as InnerSocket).guard.look(now, pingInterval)
      return all.length > 0
    })
    this.expect(pingInterval)
  }

  /** A route has a timeout (ms, `0` for none) that is to be noticed in time. */
  expect (timeout: number): void {
    this.#ticker.expect(timeout)
  }

  /** A socket was opened. @returns when it is to be pinged first: somewhere in the interval, so that pings are spread */
  add (now: number): number {
    this.#ticker.start()
    return this.#pingInterval === 0 ? Infinity : now + Math.random() * this.#pingInterval
  }

  stop (): void {
    this.#ticker.stop()
  }
}
