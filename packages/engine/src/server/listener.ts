import { lookup } from 'node:dns/promises'
import net, { type Server as NetServer } from 'node:net'
import { getSystemErrorMap } from 'node:util'
import { AddressInUse, AddressRefused } from '../errors.js'

/** A TCP address: a numeric IP and a port; port 0 lets the system choose one. */
export interface TcpAddress {
  readonly host: string
  readonly port: number
  /** `::` without the IPv4 addresses, for a server that binds `0.0.0.0` apart. Default false. */
  readonly ipv6Only?: boolean
}

const ADVICE: Readonly<Record<string, (address: TcpAddress) => string>> = {
  EADDRINUSE: ({ port }) => `another process listens on port ${port} already; stop it or choose another port`,
  EACCES: ({ port }) => `no permission for port ${port}; ports below 1024 need root or CAP_NET_BIND_SERVICE`,
  EADDRNOTAVAIL: ({ host }) => `this machine does not have the address ${host}`,
}

interface Bindable {
  /** What `server.listen()` takes. */
  readonly handle: object
  readonly port: number
  close (): void
}

/**
 * A socket that is bound and does not accept yet: the system refuses connections to it until
 * {@link BoundListener.listen}. Binding may need privileges, listening never does; it can still fail if another process
 * was quicker to listen on the same port.
 */
export class BoundListener {
  readonly address: TcpAddress
  readonly #bound: Bindable
  #isOpen = true

  /**
   * @throws `FST_KEEP_ENGINE_ADDRESS_IN_USE` or `FST_KEEP_ENGINE_ADDRESS_REFUSED`
   */
  constructor (address: TcpAddress) {
    try {
      this.#bound = bind(address)
    } catch (error) {
      throw addressError(address, error as NodeJS.ErrnoException)
    }
    this.address = { host: address.host, port: this.#bound.port }
  }

  /** Accepts connections for a server from now on; the server owns the socket then. */
  listen (server: NetServer, backlog = 511): Promise<void> {
    this.#isOpen = false
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(addressError(this.address, error))
      server.once('error', onError)
      const onListening = (): void => {
        server.off('error', onError)
        resolve()
      }
      Reflect.apply(net.Server.prototype.listen, server, [this.#bound.handle, backlog, onListening])
    })
  }

  /** Gives the port back, unless a server owns it. */
  release (): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#bound.close()
  }
}

/** The numeric addresses of a host name, each once; an address stands for itself. */
export async function resolveHost (host: string): Promise<string[]> {
  if (net.isIP(host) !== 0) return [host]
  try {
    const found = await lookup(host, { all: true, order: 'ipv4first' })
    return [...new Set(found.map(({ address }) => address))]
  } catch (cause) {
    throw new AddressRefused(host, 'the name is not known', { cause })
  }
}

/** `127.0.0.1:80`, `[::1]:80` */
export function format ({ host, port }: TcpAddress): string {
  return net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

function bind (address: TcpAddress): Bindable {
  return 'BoundSocket' in net ? bindBoundSocket(address) : bindHandle(address)
}

interface BoundSocket {
  address (): { port: number }
  close (): void
}

/** Node 24.21 and later. */
function bindBoundSocket ({ host, port, ipv6Only = false }: TcpAddress): Bindable {
  const { BoundSocket } = net as unknown as { BoundSocket: new (options: object) => BoundSocket }
  const socket = new BoundSocket({ host, port, ipv6Only })
  return { handle: socket, port: socket.address().port, close: () => socket.close() }
}

interface TcpHandle {
  close (): void
  getsockname (address: { port?: number }): number
}

const UV_TCP_IPV6ONLY = 1

/** Node 20 and 22 have the same only as an undocumented function, which `net.Server` itself is built on. */
function bindHandle ({ host, port, ipv6Only = false }: TcpAddress): Bindable {
  const createHandle = (net as unknown as { _createServerHandle: (...args: unknown[]) => TcpHandle | number })._createServerHandle
  const handle = createHandle(host, port, net.isIPv6(host) ? 6 : 4, undefined, ipv6Only ? UV_TCP_IPV6ONLY : 0)
  if (typeof handle === 'number') throw systemError(handle)
  const bound: { port?: number } = {}
  // libuv keeps EADDRINUSE back until the next call on the socket.
  const status = handle.getsockname(bound)
  if (status !== 0 || bound.port === undefined) {
    handle.close()
    throw systemError(status)
  }
  return { handle, port: bound.port, close: () => handle.close() }
}

function systemError (status: number): NodeJS.ErrnoException {
  const [code, message] = getSystemErrorMap().get(status) ?? ['UNKNOWN', `system error ${status}`]
  return Object.assign(new Error(`${code}: ${message}`), { code, errno: status })
}

function addressError (address: TcpAddress, cause: NodeJS.ErrnoException): Error {
  const where = format(address)
  const advice = cause.code === undefined ? undefined : ADVICE[cause.code]?.(address)
  const AddressError = cause.code === 'EADDRINUSE' ? AddressInUse : AddressRefused
  return new AddressError(where, advice ?? cause.message, { cause })
}
