import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ShuttingDown } from './errors.js'

export interface UpgradesOptions {
  /** Time in ms that a handshake may take, from its headers to the end of its answer. */
  handshakeTimeout: number
  /** A handshake took longer: its connection is cut. */
  onTimeout: () => void
}

interface Handshake {
  socket: Duplex
  stopWatching: () => void
}

/**
 * Stands between the HTTP server's `upgrade` event and @fastify/websocket, which listens here instead. It watches the
 * connections whose handshake is not done yet: Node has let go of them, and ws does not have them yet.
 */
export class Upgrades extends EventEmitter {
  /** By request: its connection is not `request.socket` where Node has yet to read a body. */
  readonly #pending = new Map<IncomingMessage, Handshake>()
  readonly #options: UpgradesOptions
  #isClosed = false

  constructor (server: Server, options: UpgradesOptions) {
    super()
    this.#options = options
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#watch(request, socket)
      if (this.#isClosed) refuse(socket)
      else this.emit('upgrade', request, socket, head)
    })
  }

  /** The request is about to be answered by Fastify: unless a WebSocket comes of it, the answer is its connection's last. */
  answering (request: IncomingMessage, response: ServerResponse): void {
    const handshake = this.#pending.get(request)
    if (handshake === undefined) return
    response.shouldKeepAlive = false
    // What Fastify answers before its hooks (a malformed URL) passes the hook of @fastify/websocket that would end it.
    response.once('finish', () => handshake.socket.destroy())
  }

  /** The handshake on this connection is done. */
  settled (request: IncomingMessage): void {
    this.#pending.get(request)?.stopWatching()
    if (this.#pending.delete(request) && this.#pending.size === 0) this.emit('idle')
  }

  /** Resolves when no handshake is under way. */
  async whenIdle (): Promise<void> {
    if (this.#pending.size > 0) await once(this, 'idle')
  }

  /** Cuts the connections whose handshake is not done; returns how many. */
  cut (): number {
    const { size } = this.#pending
    for (const { socket } of this.#pending.values()) socket.destroy()
    return size
  }

  /**
   * Answers 503 from now on without asking Fastify, which once `app.close()` has begun answers past all hooks, and so
   * without the code that says why.
   */
  close (): void {
    this.#isClosed = true
  }

  #watch (request: IncomingMessage, socket: Duplex): void {
    const destroy = () => { socket.destroy() }
    const timer = setTimeout(() => {
      this.#options.onTimeout()
      destroy()
    }, this.#options.handshakeTimeout).unref()
    // A client that leaves by FIN: Node's servers leave their own half open.
    socket.once('end', destroy)
    socket.once('close', () => this.settled(request))
    function stopWatching () {
      clearTimeout(timer)
      socket.off('end', destroy)
    }
    this.#pending.set(request, { socket, stopWatching })
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
