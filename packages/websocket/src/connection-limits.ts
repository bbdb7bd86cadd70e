import { isIP } from 'node:net'
import { TooManyConnections, TooManyFromAddress, TooManyOfUser } from './errors.js'

export interface ConnectionLimits {
  /** `0` for no limit, here and below. */
  maxConnections: number
  maxConnectionsPerAddress: number
  maxConnectionsPerUser: number
}

/** Counts the connections of one scope, the whole plugin or one route, from their handshake on. */
export class ConnectionCounts {
  readonly #limits: ConnectionLimits
  readonly #byAddress = new Counts()
  readonly #byUser = new Counts()
  #all = 0

  constructor (limits: ConnectionLimits) {
    this.#limits = limits
  }

  /** @throws TooManyConnections, TooManyFromAddress */
  addConnection (address: string | undefined): void {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits
    if (isReached(this.#all, maxConnections)) throw new TooManyConnections()
    if (address !== undefined) {
      if (isReached(this.#byAddress.of(address), maxConnectionsPerAddress)) throw new TooManyFromAddress()
      this.#byAddress.add(address)
    }
    this.#all++
  }

  /** @throws TooManyOfUser */
  addUser (user: string): void {
    if (isReached(this.#byUser.of(user), this.#limits.maxConnectionsPerUser)) throw new TooManyOfUser()
    this.#byUser.add(user)
  }

  removeConnection (address: string | undefined): void {
    this.#all--
    if (address !== undefined) this.#byAddress.remove(address)
  }

  removeUser (user: string): void {
    this.#byUser.remove(user)
  }
}

const NONE: readonly ConnectionCounts[] = []

/** The place that one connection takes in each scope that counts it. */
export class Seat {
  readonly #address: string | undefined
  #user: string | undefined
  #scopes: readonly ConnectionCounts[] = NONE
  /** How many of the scopes count it, and how many its user. */
  #counted = 0
  #countedAs = 0

  constructor (ip: string | undefined) {
    this.#address = ip === undefined ? undefined : addressKey(ip)
  }

  /** @throws TooManyConnections, TooManyFromAddress */
  take (scopes: readonly ConnectionCounts[]): void {
    this.#scopes = scopes
    for (const scope of scopes) {
      scope.addConnection(this.#address)
      this.#counted++
    }
  }

  /** @throws TooManyOfUser */
  takeAs (user: string): void {
    this.#user = user
    for (const scope of this.#scopes) {
      scope.addUser(user)
      this.#countedAs++
    }
  }

  leave (): void {
    const scopes = this.#scopes
    // It may be asked for more after its connection has gone.
    this.#scopes = NONE
    while (this.#counted > 0) scopes[--this.#counted]?.removeConnection(this.#address)
    while (this.#countedAs > 0) scopes[--this.#countedAs]?.removeUser(this.#user as string)
  }
}

class Counts {
  readonly #counts = new Map<string, number>()

  of (key: string): number {
    return this.#counts.get(key) ?? 0
  }

  add (key: string): void {
    this.#counts.set(key, this.of(key) + 1)
  }

  remove (key: string): void {
    const left = this.of(key) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}

function isReached (count: number, limit: number): boolean {
  return limit > 0 && count >= limit
}

/**
 * What an address counts as: an IPv6 address as its /64, because one host is given that many; an IPv4 address in IPv6
 * form as what it is.
 *
 * @example addressKey('2001:db8::1') // '2001:db8:0:0'
 */
export function addressKey (ip: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip) ?? []
  if (mapped !== undefined) return mapped
  if (isIP(ip) !== 6) return ip
  const [head = '', tail] = ip.replace(/%.*$/, '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  // A part in IPv4 form counts for two groups.
  const length = after.length + (after.at(-1)?.includes('.') === true ? 1 : 0)
  const zeros = tail === undefined ? 0 : 8 - before.length - length
  return [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).map(group => Number.parseInt(group, 16).toString(16)).join(':')
}
