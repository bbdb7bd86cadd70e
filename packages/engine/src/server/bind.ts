import { chmodSync } from 'node:fs'
import net, { SocketAddress } from 'node:net'
import { constants } from 'node:os'
import { isIPv6, type TcpAddress } from './address.js'

/*
 * Binding without listening. Node 24.21 and later offer `net.BoundSocket`; earlier lines have the same only as an
 * undocumented function, which `net.Server` itself is built on. Nothing outside this file knows the difference.
 */

export interface BoundHandle {
  /** What `server.listen()` takes. */
  readonly listenable: object
  readonly fd: number
  readonly port: number
  close (): void
}

/** @throws the system's error, e.g. EADDRINUSE */
export function bindTcp ({ host, port, ipv6Only = false }: TcpAddress): BoundHandle {
  const { BoundSocket } = net as unknown as { BoundSocket?: BoundSocketConstructor }
  if (BoundSocket !== undefined) {
    const socket = new BoundSocket({ host, port, ipv6Only })
    return { listenable: socket, fd: socket.fd(), port: socket.address().port, close: () => socket.close() }
  }
  const handle = createHandle(host, port, isIPv6(host) ? 6 : 4, undefined, ipv6Only ? UV_TCP_IPV6ONLY : 0)
  const bound: { address?: string, port?: number } = {}
  // libuv keeps EADDRINUSE back until the next call on the socket; one that is not bound would listen on any port.
  const status = handle.getsockname(bound)
  if (status !== 0 || bound.port === undefined || !isAsAsked(bound, host, port)) {
    handle.close()
    throw systemError(status === 0 ? UV_EINVAL : status)
  }
  return { listenable: handle, fd: handle.fd, port: bound.port, close: () => handle.close() }
}

/**
 * @param mode permissions, there from the first moment: a chmod() afterwards would be by name, which may be another
 *   file's by then
 * @throws the system's error, e.g. EACCES
 */
export function bindUnix (path: string, mode: number): BoundHandle {
  // A thread cannot set the umask, which is its process's.
  const { isMainThread } = process.getBuiltinModule('node:worker_threads')
  const umask = isMainThread ? process.umask(0o777 & ~mode) : undefined
  try {
    const bound = bindUnixAs(path)
    if (umask === undefined) chmodSync(path, mode)
    return bound
  } finally {
    if (umask !== undefined) process.umask(umask)
  }
}

function bindUnixAs (path: string): BoundHandle {
  const { BoundSocket } = net as unknown as { BoundSocket?: BoundSocketConstructor }
  if (BoundSocket !== undefined) {
    const socket = new BoundSocket({ path })
    return { listenable: socket, fd: socket.fd(), port: 0, close: () => socket.close() }
  }
  const handle = createHandle(path, -1, -1, undefined, 0)
  // server.listen() takes no pipe handle. The handle stays open beside the server's own, or its end would close both.
  return { listenable: { fd: handle.fd }, fd: handle.fd, port: 0, close: () => handle.close() }
}

function isAsAsked (bound: { address?: string, port?: number }, host: string, port: number): boolean {
  // The zone of a link-local address is not part of what the system tells.
  const canonical = (address = ''): string => {
    const plain = address.replace(/%.*$/, '')
    return new SocketAddress({ address: plain, family: isIPv6(plain) ? 'ipv6' : 'ipv4' }).address
  }
  return canonical(bound.address) === canonical(host) && bound.port !== 0 && (port === 0 || bound.port === port)
}

interface BoundSocket {
  address (): { port: number }
  fd (): number
  close (): void
}

type BoundSocketConstructor = new (options: object) => BoundSocket

interface Handle {
  readonly fd: number
  close (): void
  getsockname (address: { address?: string, port?: number }): number
}

const UV_TCP_IPV6ONLY = 1

/** A socket that was bound to something else is not what was asked for. */
const UV_EINVAL = -constants.errno.EINVAL

function createHandle (...args: [string, number, number, undefined, number]): Handle {
  const handle = (net as unknown as { _createServerHandle: (...args: unknown[]) => Handle | number })._createServerHandle(...args)
  if (typeof handle === 'number') throw systemError(handle)
  return handle
}

function systemError (status: number): NodeJS.ErrnoException {
  const { getSystemErrorMap } = process.getBuiltinModule('node:util')
  const [code, message] = getSystemErrorMap().get(status) ?? ['UNKNOWN', `system error ${status}`]
  return Object.assign(new Error(`${code}: ${message}`), { code, errno: status })
}
