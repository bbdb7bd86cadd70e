import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { ShuttingDown } from './errors.js'

/**
 * Stands between the HTTP server's `upgrade` event and @fastify/websocket, which listens here instead. It knows the
 * connections whose handshake is not done yet, which neither Fastify nor ws could end at a shutdown.
 */
export class Upgrades extends EventEmitter {
  readonly #pending = new Set<Duplex>()
  #isClosed = false

  constructor (server: Server) {
    super()
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.#isClosed) {
        refuse(socket)
        return
      }
      this.#pending.add(socket)
      socket.once('close', () => this.#settle(socket))
      this.emit('upgrade', request, socket, head)
    })
  }

  /** The handshake on this connection is done. */
  settled (request: IncomingMessage): void {
    this.#settle(request.socket)
  }

  /** Resolves when no handshake is under way. */
  async whenIdle (): Promise<void> {
    if (this.#pending.size > 0) await once(this, 'idle')
  }

  /** Cuts the connections whose handshake is not done; returns how many. */
  cut (): number {
    const { size } = this.#pending
    for (const socket of this.#pending) socket.destroy()
    return size
  }

  /**
   * Answers 503 from now on without asking Fastify: once `app.close()` has begun, Fastify answers an upgrade with 503
   * past all hooks, and so nothing would ever end its connection.
   */
  close (): void {
    this.#isClosed = true
  }

  #settle (socket: Duplex): void {
    if (this.#pending.delete(socket) && this.#pending.size === 0) this.emit('idle')
  }
}

function refuse (socket: Duplex): void {
  const { statusCode, code, message } = new ShuttingDown()
  const body = JSON.stringify({ statusCode, code, error: 'Service Unavailable', message })
  // Node takes its own error listener away before it emits `upgrade`.
  socket.on('error', () => socket.destroy())
  socket.end([
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n'), () => socket.destroy())
}
