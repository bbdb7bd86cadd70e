import { isIP } from 'node:net'
import { AddressRefused } from '../errors.js'

/** A TCP address: a numeric IP and a port; port 0 lets the system choose one. */
export interface TcpAddress {
  readonly host: string
  readonly port: number
  /** `::` without the IPv4 addresses, for a server that binds `0.0.0.0` apart. Default false. */
  readonly ipv6Only?: boolean
}

/** A unix socket. */
export interface UnixAddress {
  readonly path: string
  /** Permissions of the socket. Default 0o600: this user only. */
  readonly mode?: number
}

export type Address = TcpAddress | UnixAddress

/** Of an address or a name that is known to be one; Node's own test would compile its pattern for 3 ms in each start. */
export function isIPv6 (host: string): boolean {
  return host.includes(':')
}

/** `127.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock` */
export function format (address: Address): string {
  if ('path' in address) return `unix:${address.path}`
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Of a unix socket. */
export function pathOf (address: Address | undefined): string | undefined {
  return address !== undefined && 'path' in address ? address.path : undefined
}

/** `http://127.0.0.1:80`, `unix:/run/app.sock` */
export function urlOf (scheme: string, address: Address): string {
  return 'path' in address ? format(address) : `${scheme}://${format(address)}`
}

/** The numeric addresses of a host name, each once; an address stands for itself. */
export async function resolveHost (host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  try {
    const { lookup } = process.getBuiltinModule('node:dns/promises')
    const found = await lookup(host, { all: true, order: 'ipv4first' })
    return [...new Set(found.map(({ address }) => address))]
  } catch (cause) {
    throw new AddressRefused(host, 'the name is not known', { cause })
  }
}
