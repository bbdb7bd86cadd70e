import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** Whether the peer of one socket is still there, by ping and pong. */
export class Heartbeat {
  /** ms that the last ping took. */
  latency: number | undefined
  readonly #socket: WebSocket
  readonly #connection: Duplex & { readonly bytesRead?: number }
  #nextPing: number
  /** When the ping was sent that is to be answered, and what had come until then. */
  #ping: { readonly at: number, readonly bytesRead: number | undefined } | undefined

  /** @param firstPing when it is due, in ms of `performance.now()` */
  constructor (socket: WebSocket, connection: Duplex, firstPing: number) {
    this.#socket = socket
    this.#connection = connection
    this.#nextPing = firstPing
  }

  /**
   * Sends the ping that is due.
   *
   * @param now ms of `performance.now()`; what came until then has been read
   * @param interval ms until the next one
   * @returns `false` if there was no sign of life since the last one
   */
  beat (now: number, interval: number): boolean {
    if (now < this.#nextPing) return true
    if (this.#ping !== undefined && this.#isSilentSince(this.#ping.bytesRead)) return false
    const at = performance.now()
    this.#ping = { at, bytesRead: this.#connection.bytesRead }
    this.#nextPing = at + interval
    this.#socket.ping()
    return true
  }

  /** A pong has come. @returns whether it was asked for */
  takePong (): boolean {
    if (this.#ping === undefined) return false
    this.latency = performance.now() - this.#ping.at
    this.#ping = undefined
    return true
  }

  /** A large message on a slow line is a sign of life too; and what this side does not read it cannot see. */
  #isSilentSince (bytesRead: number | undefined): boolean {
    return !this.#socket.isPaused && this.#connection.bytesRead === bytesRead
  }
}
