import net, { type Server as NetServer, type Socket } from 'node:net'
import { type FastifyInstance, type FastifyListenOptions } from 'fastify'
import { Http1Drain, type CutRequest } from './http1-drain.js'
import { Http2Drain } from './http2-drain.js'
import { BoundListener, format, resolveHost, type TcpAddress } from './listener.js'

export interface ListenOptions extends Omit<FastifyListenOptions, 'host' | 'port'> {
  /** TCP port; 0 lets the system choose one. Default 0. */
  port?: number
  /** An address, a name (all its addresses are bound), or several. Default `127.0.0.1`. */
  host?: string | readonly string[]
}

/**
 * One Fastify instance and its sockets. Binding and listening are two steps; the server accepts on several addresses
 * without a second HTTP server, so that none escapes the drain.
 */
export class ServedApp {
  readonly app: FastifyInstance
  readonly #listen: FastifyInstance['listen']
  readonly #close: () => Promise<void>
  readonly #http1: Http1Drain
  readonly #http2: Http2Drain
  #options: ListenOptions
  #bound: BoundListener[] = []
  /** Closed when the last of their connections is. */
  #accepting: NetServer[] = []
  #accepted: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor (app: FastifyInstance, options: ListenOptions) {
    this.app = app
    this.#options = options
    this.#listen = app.listen.bind(app) as FastifyInstance['listen']
    this.#close = app.close.bind(app) as () => Promise<void>
    this.#http1 = new Http1Drain(app.server)
    this.#http2 = new Http2Drain(app.server)
  }

  get isClosed (): boolean {
    return this.#closed !== undefined
  }

  get connections (): number {
    return this.#http1.size
  }

  /** The bound addresses as URLs, e.g. `https://127.0.0.1:8443`. */
  get urls (): string[] {
    const scheme = 'setSecureContext' in this.app.server ? 'https' : 'http'
    return this.#bound.map(({ address }) => `${scheme}://${format(address)}`)
  }

  setListenOptions (options: ListenOptions): void {
    this.#options = { ...this.#options, ...options }
  }

  /**
   * Takes all addresses or none. With port 0 the first address gets a free one and the others the same.
   */
  async bind (): Promise<void> {
    const { host = '127.0.0.1', port = 0 } = this.#options
    const hosts = typeof host === 'string' ? [host] : host
    const addresses = new Set((await Promise.all(hosts.map(resolveHost))).flat())
    try {
      for (const address of addresses) {
        const samePort = this.#bound[0]?.address.port ?? port
        this.#bound.push(new BoundListener({ host: address, port: samePort, ipv6Only: addresses.has('0.0.0.0') && address === '::' }))
      }
    } catch (error) {
      this.release()
      throw error
    }
  }

  release (): void {
    for (const listener of this.#bound) listener.release()
    this.#bound = []
  }

  /** Accepts connections on all bound addresses, through Fastify's own `listen`, which runs its hooks. */
  async listen (): Promise<string> {
    const [main, ...others] = this.#bound as [BoundListener, ...BoundListener[]]
    const { server } = this.app
    const url = await this.#throughFastify(main.address, () => main.listen(server, this.#options.backlog))
    this.#accepting = [server]
    for (const listener of others) {
      const door = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => server.emit('connection', socket))
      await listener.listen(door, this.#options.backlog)
      this.#accepting.push(door)
    }
    return url
  }

  /** Nothing new is accepted; every answer from now on is the last of its connection. */
  beginDrain (): void {
    this.#accepted = Promise.all(this.#accepting.map(server => new Promise(resolve => {
      // Not the HTTP server's own close(): that destroys idle connections at once, with requests on their way.
      net.Server.prototype.close.call(server, resolve)
    })))
    this.#accepting = []
    this.#http1.begin()
    this.#http2.begin()
  }

  /** Resolves when no connection is left. */
  drained (): Promise<unknown> {
    return this.#accepted
  }

  closeIdle (): void {
    this.#http1.closeIdle()
  }

  cut (): CutRequest[] {
    return [...this.#http2.cut(), ...this.#http1.cut()]
  }

  /** Fastify's own close, once: its onClose hooks end what the app holds. */
  close (): Promise<void> {
    this.release()
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Fastify calls `server.listen()` once, with options that would bind anew; it gets our socket instead. */
  async #throughFastify (address: TcpAddress, listen: () => Promise<void>): Promise<string> {
    const { server } = this.app
    let listening: Promise<void> | undefined
    server.listen = () => {
      listening = listen()
      listening.catch((error: Error) => { if (server.listenerCount('error') > 0) server.emit('error', error) })
      return server
    }
    try {
      return await this.#listen({ ...this.#options, ...address })
    } catch (error) {
      // Fastify heard the socket's own error; ours says what to do.
      await listening
      throw error
    } finally {
      Reflect.deleteProperty(server, 'listen')
    }
  }
}
