import type { FastifyListenOptions } from 'fastify'
import { boolean, func, integer, optionChecker, string, type Rule } from '@fastkeep/options'
import { RegistrationRefused } from '../errors.js'

/** Where an app listens, and what Fastify's own `listen` takes besides. */
export interface ListenOptions extends Pick<FastifyListenOptions, 'backlog' | 'ipv6Only' | 'listenTextResolver' | 'readableAll' | 'signal' | 'writableAll'> {
  /** TCP port; 0 lets the system choose one. Default 0. */
  port?: number
  /** An address, a name (all its addresses that this machine has are bound), or several. Default `127.0.0.1`. */
  host?: string | readonly string[]
  /** A unix socket, instead of host and port. A stale one is replaced, the socket is removed at the end. */
  path?: string
  /** Permissions of the unix socket. Default 0o600: this user only. */
  mode?: number
  /** The `FileDescriptorName=` of the systemd socket that this app takes. Default: all of them. */
  socketName?: string
}

const host: Rule = {
  expected: 'an address, a name, or an array of them',
  accepts: value => [value].flat().length > 0 && [value].flat().every(name => typeof name === 'string' && name !== ''),
}

/** Those that the plugin takes at registration. */
export const ADDRESS_RULES = {
  port: integer(0, 65_535, 'TCP ports'),
  host,
  path: string('the path of a unix socket'),
  mode: integer(0, 0o777, 'permission bits'),
  socketName: string(),
} satisfies Record<string, Rule>

const LISTEN_RULES = {
  ...ADDRESS_RULES,
  backlog: integer(1, 65_535, 'waiting connections'),
  ipv6Only: boolean,
  listenTextResolver: func,
  readableAll: boolean,
  signal: { expected: 'an AbortSignal', accepts: value => value instanceof AbortSignal },
  writableAll: boolean,
} satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/**
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`, `FST_KEEP_ENGINE_REGISTRATION_REFUSED`
 */
export function checkListenOptions (options: ListenOptions): void {
  checkOptions(options, LISTEN_RULES)
  if (options.path !== undefined && (options.port !== undefined || options.host !== undefined)) {
    throw new RegistrationRefused('engine: the options "path" and "port" or "host" contradict each other: listen on a unix socket or on TCP')
  }
}

/** Later ones take the place of earlier ones; `undefined` counts as not given, and an address replaces an address. */
export function mergeListenOptions (earlier: ListenOptions, later: ListenOptions): ListenOptions {
  const given = Object.fromEntries(Object.entries(later).filter(([, value]) => value !== undefined)) as ListenOptions
  const { path, port, host, ...rest } = earlier
  if (given.path !== undefined) return { ...rest, ...given }
  if (given.port !== undefined || given.host !== undefined) return { ...rest, ...port === undefined ? {} : { port }, ...host === undefined ? {} : { host }, ...given }
  return { ...earlier, ...given }
}
