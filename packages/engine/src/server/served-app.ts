import net, { type Server as NetServer, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { BoundSockets } from './bound-sockets.js'
import { Http1Drain, type CutRequest } from './http1-drain.js'
import { Http2Drain } from './http2-drain.js'
import type { InheritedSockets } from './inherited-sockets.js'
import { mergeListenOptions, type ListenOptions } from './listen-options.js'
import type { Listener } from './listener.js'

/**
 * One Fastify instance and its sockets. Binding and listening are two steps; the server accepts on several addresses
 * without a second HTTP server, so that none escapes the drain.
 */
export class ServedApp {
  readonly app: FastifyInstance
  readonly sockets = new BoundSockets()
  readonly #listen: FastifyInstance['listen']
  readonly #close: () => Promise<void>
  readonly #http1: Http1Drain
  readonly #http2: Http2Drain
  #options: ListenOptions
  #accepting: NetServer[] = []
  /** Done when the last connection of all of them is closed. */
  #closedServers: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined
  #hasListened = false
  /** Fastify waits for its server to listen without the bus having asked it to. */
  #isAwaited = false
  #onServerListen: (options: ListenOptions) => Promise<void>

  /**
   * @param start brings the bus up, for a Fastify that comes to listen by itself
   * @param onConnection called after each connection has been counted
   */
  constructor (app: FastifyInstance, options: ListenOptions, start: () => Promise<void>, onConnection: () => void) {
    this.app = app
    this.#options = options
    this.#onServerListen = listenOptions => this.#startFromServer(listenOptions, start)
    const { server } = app
    server.listen = ((listenOptions: ListenOptions) => {
      this.#onServerListen(listenOptions).catch((error: Error) => { if (server.listenerCount('error') > 0) server.emit('error', error) })
      return server
    }) as typeof server.listen
    this.#listen = app.listen.bind(app) as FastifyInstance['listen']
    this.#close = app.close.bind(app) as () => Promise<void>
    this.#http1 = new Http1Drain(app.server)
    this.#http2 = new Http2Drain(app.server)
    server.on('connection', onConnection)
  }

  get isClosed (): boolean {
    return this.#closed !== undefined
  }

  /** Fastify listens once in its life. */
  get hasListened (): boolean {
    return this.#hasListened
  }

  get requests (): number {
    return this.#http1.requests
  }

  get connections (): number {
    return this.#http1.size
  }

  /** ms for which the answers have told clients that an idle connection will stay. */
  get keepAliveTimeout (): number {
    return (this.app.server as { keepAliveTimeout?: number }).keepAliveTimeout ?? 0
  }

  /** The bound addresses as URLs, e.g. `https://127.0.0.1:8443` or `unix:/run/app.sock`. */
  get urls (): string[] {
    const scheme = 'setSecureContext' in this.app.server ? 'https' : 'http'
    return this.sockets.urls(scheme)
  }

  setListenOptions (options: ListenOptions): void {
    this.#options = mergeListenOptions(this.#options, options)
  }

  async bind (inherited: InheritedSockets): Promise<void> {
    await this.sockets.bind(this.#options, inherited)
  }

  /** Accepts connections on all bound addresses, through Fastify's own `listen`, which runs its hooks. */
  async listen (): Promise<void> {
    const [main, ...others] = this.sockets.listeners as [Listener, ...Listener[]]
    const { server } = this.app
    this.#hasListened = true
    await this.#throughFastify(() => main.listen(server, this.#options.backlog))
    this.#accepting = [server]
    for (const listener of others) {
      const door = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => server.emit('connection', socket))
      this.#accepting.push(door)
      await listener.listen(door, this.#options.backlog)
    }
  }

  /** Nothing new is accepted; every answer from now on is the last of its connection. */
  beginDrain (): void {
    this.#closedServers = Promise.all(this.#accepting.map(server => new Promise(resolve => {
      // Not the HTTP server's own close(): that destroys idle connections at once, with requests on their way.
      net.Server.prototype.close.call(server, resolve)
    })))
    this.#accepting = []
    this.#http1.begin()
    this.#http2.begin()
  }

  /** Resolves when no connection is left. */
  drained (): Promise<unknown> {
    return this.#closedServers
  }

  closeIdle (): void {
    this.#http1.closeIdle()
  }

  cut (): CutRequest[] {
    return [...this.#http2.cut(), ...this.#http1.cut()]
  }

  /** Fastify's own close, once: its onClose hooks end what the app holds. */
  close (): Promise<void> {
    this.sockets.release()
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Fastify calls `server.listen()` once, with options that would bind anew; it gets our socket instead. */
  async #throughFastify (listen: () => Promise<void>): Promise<void> {
    if (this.#isAwaited) return await listen()
    let listening: Promise<void> | undefined
    this.#onServerListen = () => {
      listening = listen()
      return listening
    }
    try {
      // Any address but the name localhost, for which Fastify would start a second server.
      const { backlog: _backlog, path: _path, mode: _mode, socketName: _socketName, ...options } = this.#options
      await this.#listen({ ...options, host: '127.0.0.1', port: 0 })
    } catch (error) {
      // Fastify heard the socket's own error; ours says what to do.
      await listening
      throw error
    }
  }

  /** Fastify's own `listen`, called before ours was in its place, has come to its server: the bus takes over from there. */
  async #startFromServer (options: ListenOptions, start: () => Promise<void>): Promise<void> {
    this.#isAwaited = true
    this.setListenOptions(options)
    await start()
  }
}
