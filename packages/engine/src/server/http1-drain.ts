import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server as NetServer, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

const latestResponse = Symbol('fastkeep.engine.latestResponse')
const latestStart = Symbol('fastkeep.engine.latestStart')

interface TrackedSocket extends Socket {
  /** The last response that was begun on this connection: under way until its `writableFinished`. */
  [latestResponse]?: ServerResponse
  [latestStart]?: number
}

/** A request that was cut because the drain deadline had passed. */
export interface CutRequest {
  /** Method and URL; of one that had not arrived whole, that. */
  readonly request: string
  /** ms since the request began. */
  readonly age: number
}

type RequestHandler = (this: NetServer, request: IncomingMessage, response: ServerResponse) => void

type HttpServer = NetServer & { closeIdleConnections?: () => void }

/**
 * What must be known of an HTTP/1 server's connections to end them without losing a request (RFC 9112, section 9.6):
 * answers given while draining carry `Connection: close`, of pipelined ones only the last; idle connections are closed
 * when told; the rest can be cut and named.
 *
 * Costs one field per request while the server is not draining.
 */
export class Http1Drain {
  readonly #server: HttpServer
  readonly #connections = new Set<TrackedSocket>()
  readonly #isTls: boolean
  /** Begun so far, those of HTTP/2 as well. */
  requests = 0
  /** How many connections are open. */
  size = 0

  constructor (server: HttpServer) {
    this.#server = server
    this.#isTls = 'setSecureContext' in server
    const track = (socket: TrackedSocket): void => {
      const share = isUnderTls(socket) ? 0 : 1
      this.size += share
      this.#connections.add(socket)
      socket.once('close', () => {
        this.size -= share
        this.#connections.delete(socket)
      })
    }
    server.on('connection', track)
    server.on('secureConnection', track)
    // Beside the handlers, not around them: others, such as socket.io, put themselves around what they find.
    server.prependListener('request', this.#note)
  }

  readonly #note = (request: IncomingMessage, response: ServerResponse): void => {
    this.requests++
    if (request.httpVersionMajor > 1) return
    const socket = request.socket as TrackedSocket
    socket[latestResponse] = response
    socket[latestStart] = performance.now()
  }

  /** From now on every answer is the last of its connection. */
  begin (): void {
    for (const socket of this.#connections) {
      const response = socket[latestResponse]
      if (response !== undefined && !response.headersSent) response.shouldKeepAlive = false
    }
    const handlers = this.#server.listeners('request').filter(handler => handler !== this.#note) as RequestHandler[]
    this.#server.removeAllListeners('request')
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.httpVersionMajor > 1) {
        this.requests++
        for (const handler of handlers) handler.call(this.#server, request, response)
        return
      }
      const previous = (request.socket as TrackedSocket)[latestResponse]
      if (previous !== undefined && !previous.headersSent) previous.shouldKeepAlive = true
      this.#note(request, response)
      response.shouldKeepAlive = false
      // The parser hands over pipelined requests in one turn: only after it is known which of them is the last.
      queueMicrotask(() => { for (const handler of handlers) handler.call(this.#server, request, response) })
    })
  }

  /** Ends the connections on which no request is under way, those that never sent a byte, or have not come through their TLS handshake, included. */
  closeIdle (): void {
    // Node takes an answer for given as soon as its end was called, however much of it still waits for a slow reader.
    if (![...this.#connections].some(isFlushing)) this.#server.closeIdleConnections?.()
    const secured = this.#isTls ? new Set([...this.#connections].filter(isUnderTls).map(peerOf)) : undefined
    for (const socket of this.#connections) {
      const isInHandshake = secured !== undefined && !isUnderTls(socket) && !secured.has(peerOf(socket))
      if ((socket.bytesRead === 0 || isInHandshake) && !socket.destroyed) socket.destroy()
    }
  }

  /** Ends all connections and tells which requests that cut. */
  cut (): CutRequest[] {
    this.closeIdle()
    const requests: CutRequest[] = []
    for (const socket of this.#connections) {
      const age = Math.round(performance.now() - (socket[latestStart] ?? performance.now()))
      const response = socket[latestResponse]
      if (response !== undefined && !response.writableFinished) {
        requests.push({ request: `${response.req.method ?? ''} ${response.req.url ?? ''}`, age })
      } else if (hasParser(socket) && !socket.destroyed) {
        requests.push({ request: 'a request that had not arrived whole', age })
      }
      socket.destroy()
    }
    return requests
  }
}

function isFlushing (socket: TrackedSocket): boolean {
  const response = socket[latestResponse]
  return response !== undefined && response.writableEnded && !response.writableFinished && !socket.destroyed
}

/** Whether HTTP is still spoken on a connection: after an upgrade it has no parser. */
function hasParser (socket: Socket & { parser?: unknown }): boolean {
  return socket.parser !== undefined && socket.parser !== null
}

/** A TLS connection shows up twice: as the TLS socket, and as the TCP socket below it. */
function isUnderTls (socket: Socket): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}

/** The same of both sockets of a TLS connection. */
function peerOf ({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
