import { closeSync, lstatSync, renameSync, rmSync, type Stats } from 'node:fs'
import net, { type Server as NetServer } from 'node:net'
import { once } from 'node:events'
import { AddressInUse, AddressRefused } from '../errors.js'
import { pauseAccepting, sendableHandle, type AcceptPause, type ListeningHandle } from './accept-pause.js'
import type { InheritedDescriptor } from '../systemd/socket-activation.js'
import { format, pathOf, type Address, type TcpAddress, type UnixAddress } from './address.js'
import { bindTcp, bindUnix } from './bind.js'
import { ownerOf } from './port-owner.js'

/** Bytes: what the systems take, 104 or 108, less the end of the string and what makes the name a temporary one. */
const LONGEST_PATH = 97

/**
 * A socket that is bound and does not accept yet: the system refuses connections to it until {@link Listener.listen}.
 * Binding may need privileges, listening never does; it can still fail if another process was quicker to listen on the
 * same port. An inherited socket may be listening already: then connections wait in its queue.
 */
export class Listener {
  /** The descriptor, to be passed on to another process. */
  readonly fd: number
  #address: Address | undefined
  readonly #listenable: object
  /** Of a socket of socket activation: its name there, `''` for none. */
  readonly activation: string | undefined
  #close: () => void
  #remove: () => void
  #isInherited = false
  #path: string | undefined
  #stopAccepting: () => AcceptPause | undefined = () => undefined
  #pause: AcceptPause | undefined
  #sendable: ListeningHandle | undefined

  private constructor (address: Address | undefined, fd: number, listenable: object, close: () => void, remove: () => void, activation?: string) {
    this.activation = activation
    this.#address = address
    this.fd = fd
    this.#listenable = listenable
    this.#close = close
    this.#remove = remove
  }

  /** @throws `FST_KEEP_ENGINE_ADDRESS_IN_USE` or `FST_KEEP_ENGINE_ADDRESS_REFUSED` */
  static async bind (address: Address): Promise<Listener> {
    try {
      if ('path' in address) return await Listener.#bindUnix(address)
      const { listenable, fd, port, close } = bindTcp(address)
      return new Listener({ ...address, port }, fd, listenable, close, nothing)
    } catch (error) {
      throw addressError(address, error as NodeJS.ErrnoException)
    }
  }

  /** A socket of a predecessor, which serves on it until this process does: its path is not to be removed before. */
  static inherit (fd: number, address: Address): Listener {
    const listener = new Listener(address, fd, { fd }, () => closeSync(fd), nothing)
    listener.#isInherited = true
    return listener
  }

  /** A socket of socket activation; it tells its address once it listens, and its path is the service manager's. */
  static activated ({ fd, name = '', path }: InheritedDescriptor): Listener {
    const listener = new Listener(undefined, fd, { fd }, () => closeSync(fd), nothing, name)
    listener.#path = path
    return listener
  }

  /**
   * The socket is bound under another name, which is then moved to the path: a stale socket is replaced without a gap,
   * and the end of this process, which removes the name that it had bound, does not take the path from a successor.
   */
  static async #bindUnix (address: UnixAddress): Promise<Listener> {
    const { path, mode = 0o600 } = address
    // The system would cut off the rest of the name without a word.
    if (Buffer.byteLength(path) > LONGEST_PATH) throw new AddressRefused(format(address), `the path is longer than ${LONGEST_PATH} bytes; choose a shorter one`)
    await assertFree(path)
    const temporary = `${path}.${process.pid}`
    const { listenable, fd, close } = bindUnix(temporary, mode)
    try {
      renameSync(temporary, path)
    } catch (error) {
      close()
      rmSync(temporary, { force: true })
      throw error
    }
    return new Listener(address, fd, listenable, close, removal(path))
  }

  /** `undefined` of a socket of socket activation, until it listens. */
  get address (): Address | undefined {
    return this.#address
  }

  /** Accepts connections for a server, which owns the socket from then on. */
  async listen (server: NetServer, backlog = DEFAULT_BACKLOG): Promise<void> {
    const path = pathOf(this.#address) ?? this.#path ?? `descriptor ${this.fd}`
    const { address } = server
    // Of a unix socket that it was given by its descriptor a server does not know the name.
    server.address = () => Reflect.apply(address, server, []) ?? path
    const listening = once(server, 'listening')
    Reflect.apply(net.Server.prototype.listen, server, [this.#listenable, backlog])
    try {
      await listening
    } catch (error) {
      if (this.#address === undefined) throw new AddressRefused(path, (error as Error).message, { cause: error })
      throw addressError(this.#address, error as NodeJS.ErrnoException)
    }
    this.#close = nothing
    this.#stopAccepting = () => pauseAccepting(server, backlog)
    this.#address ??= addressOf(server)
  }

  /** For `subprocess.send()`: one whose process has paused accepts again by it. */
  get sendable (): ListeningHandle {
    this.#sendable ??= sendableHandle(this.fd)
    return this.#sendable
  }

  /** Leaves new connections to the other processes that listen on the same socket, if this version of Node can. */
  pause (): void {
    this.#pause ??= this.#stopAccepting()
  }

  get isPaused (): boolean {
    return this.#pause !== undefined
  }

  /** Accepts again. @param handle another one of the same socket */
  unpause (handle: ListeningHandle): void {
    if (this.#pause === undefined) handle.close()
    else this.#pause.end(handle)
    this.#pause = undefined
  }

  /** The path of an inherited socket is this process's to remove from now on. */
  takePath (): void {
    const path = pathOf(this.#address)
    if (this.#isInherited && path !== undefined) this.#remove = removal(path)
  }

  /** The path of the socket is another process's business from now on. */
  handOver (): void {
    this.#remove = nothing
  }

  /** Gives the address back. */
  release (): void {
    this.#close()
    this.#remove()
    this.#close = this.#remove = nothing
  }
}

/** Node's own. */
const DEFAULT_BACKLOG = 511

const nothing = (): void => {}

/** Removes a socket from its path if it is still the one that is there now. */
function removal (path: string): () => void {
  const mine = statOf(path)?.ino
  return () => {
    try {
      if (statOf(path)?.ino === mine) rmSync(path, { force: true })
    } catch (error) {
      // After privileges were dropped, in a directory of root's: what stays is stale, and the next start replaces it.
      if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

/** A socket that nobody answers on is stale and may be replaced; anything else is somebody's. */
async function assertFree (path: string): Promise<void> {
  const present = statOf(path)
  if (present === undefined) return
  if (!present.isSocket()) throw new AddressRefused(`unix:${path}`, 'the path is taken by something that is not a socket; remove it or choose another path')
  const probe = net.connect(path)
  try {
    await once(probe, 'connect')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return
    throw error
  } finally {
    probe.destroy()
  }
  throw new AddressInUse(`unix:${path}`, 'another process listens there already; stop it or choose another path')
}

function statOf (path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function addressOf (server: NetServer): Address {
  const address = server.address()
  if (address === null) throw new Error('the server does not listen')
  return typeof address === 'string' ? { path: address } : { host: address.address, port: address.port }
}

const ADVICE: Readonly<Record<string, (address: TcpAddress) => string>> = {
  EADDRINUSE: ({ port }) => `${ownerOf(port) ?? 'another process'} listens on port ${port} already; stop it or choose another port`,
  EACCES: ({ port }) => `no permission for port ${port}; ports below 1024 need root or CAP_NET_BIND_SERVICE`,
  EADDRNOTAVAIL: ({ host }) => `this machine does not have the address ${host}`,
}

function addressError (address: Address, cause: NodeJS.ErrnoException): Error {
  if (cause instanceof AddressInUse || cause instanceof AddressRefused) return cause
  const advice = 'path' in address || cause.code === undefined ? undefined : ADVICE[cause.code]?.(address)
  const AddressError = cause.code === 'EADDRINUSE' ? AddressInUse : AddressRefused
  return new AddressError(format(address), advice ?? cause.message, { cause })
}
