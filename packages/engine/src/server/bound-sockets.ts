import { resolve } from 'node:path'
import { resolveHost, urlOf, type Address } from './address.js'
import type { HandedSocket, InheritedSockets } from './inherited-sockets.js'
import type { ListenOptions } from './listen-options.js'
import { Listener } from './listener.js'

/** The sockets of one service: bound or inherited, handed on, given back. Who accepts on them is another matter. */
export class BoundSockets {
  #listeners: Listener[] = []

  get listeners (): readonly Listener[] {
    return this.#listeners
  }

  /** What another process needs to listen on the same sockets. */
  get handed (): HandedSocket[] {
    return this.#listeners.map(({ fd, address, activation }) => ({
      fd, ...address === undefined ? {} : { address }, ...activation === undefined ? {} : { activation },
    }))
  }

  /** Of those whose address is known. */
  urls (scheme: string): string[] {
    return this.#listeners.flatMap(({ address }) => address === undefined ? [] : urlOf(scheme, address))
  }

  /** Takes all addresses or none. With port 0 the first address gets a free one and the others the same. */
  async bind (options: ListenOptions, inherited: InheritedSockets): Promise<void> {
    this.#listeners = inherited.takeActivated(options.socketName)
    if (this.#listeners.length > 0) return
    const missing: unknown[] = []
    try {
      let samePort = 0
      for (const { isOptional, ...wanted } of await addressesOf(options)) {
        const address = 'path' in wanted ? wanted : { ...wanted, port: wanted.port === 0 ? samePort : wanted.port }
        const listener = inherited.takeHanded(address) ?? await Listener.bind(address).catch((error: unknown) => {
          if (!isOptional || !isNotThere(error)) throw error
          missing.push(error)
        })
        if (listener === undefined) continue
        this.#listeners.push(listener)
        if (listener.address !== undefined && !('path' in listener.address)) samePort = listener.address.port
      }
      if (this.#listeners.length === 0) throw missing[0]
    } catch (error) {
      this.release()
      throw error
    }
  }

  release (): void {
    for (const listener of this.#listeners) listener.release()
    this.#listeners = []
  }

  /** The paths of unix sockets that came from a predecessor are this process's from now on, to be removed at its end. */
  takePaths (): void {
    for (const listener of this.#listeners) listener.takePath()
  }

  /** The sockets are a successor's as well; their paths are its alone. */
  handOver (): void {
    for (const listener of this.#listeners) listener.handOver()
  }
}

/** Of a name's several addresses those are optional that the machine turns out not to have, e.g. ::1 of localhost. */
async function addressesOf (options: ListenOptions): Promise<Array<Address & { isOptional: boolean }>> {
  const { host = '127.0.0.1', port = 0, path, ipv6Only = false, readableAll = false, writableAll = false } = options
  const { mode = 0o600 | (readableAll ? 0o044 : 0) | (writableAll ? 0o022 : 0) } = options
  if (path !== undefined) return [{ path: resolve(path), mode, isOptional: false }]
  const resolved = new Map<string, boolean>()
  for (const name of [host].flat()) {
    for (const address of await resolveHost(name)) resolved.set(address, address !== name)
  }
  return [...resolved].map(([address, isOptional]) => ({
    host: address, port, isOptional, ipv6Only: ipv6Only || (address === '::' && resolved.has('0.0.0.0')),
  }))
}

/** The machine does not have the address, or not its family. */
function isNotThere (error: unknown): boolean {
  const { code } = (error as { cause?: NodeJS.ErrnoException }).cause ?? {}
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
}
