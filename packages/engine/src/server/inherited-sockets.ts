import { closeSync } from 'node:fs'
import type { InheritedDescriptor } from '../systemd/socket-activation.js'
import { format, pathOf, type Address } from './address.js'
import { Listener } from './listener.js'

/** A socket that another process has passed to this one, and what it said of it. */
export interface HandedSocket {
  readonly fd: number
  /** Not known of a socket of socket activation on which nobody has listened yet. */
  readonly address?: Address
  /** The predecessor, or one before it, had it from socket activation: its name there, `''` for none. */
  readonly activation?: string
}

/**
 * The listening sockets that a process was started with, each to be taken once: those of socket activation by name or
 * all together, those of a predecessor by their address.
 */
export class InheritedSockets {
  readonly #activated: InheritedDescriptor[]
  readonly #handed: Array<HandedSocket & { readonly address: Address }>

  constructor (activated: readonly InheritedDescriptor[], handed: readonly HandedSocket[]) {
    const handedOn = handed.filter(({ activation }) => activation !== undefined)
    this.#activated = [...activated, ...handedOn.map(({ fd, activation, address }) => ({ fd, name: activation === '' ? undefined : activation, path: pathOf(address) }))]
    this.#handed = handed.filter((socket): socket is HandedSocket & { address: Address } => socket.activation === undefined && socket.address !== undefined)
  }

  /** Those of socket activation that bear a name, or all for an app that names none. */
  takeActivated (name: string | undefined): Listener[] {
    const mine = this.#activated.filter(descriptor => name === undefined || descriptor.name === name)
    for (const descriptor of mine) this.#activated.splice(this.#activated.indexOf(descriptor), 1)
    return mine.map(descriptor => Listener.activated(descriptor))
  }

  /** The one that a predecessor had at this address; at any port where the system may choose one. */
  takeHanded (wanted: Address): Listener | undefined {
    const index = this.#handed.findIndex(({ address }) => isSame(address, wanted))
    const [socket] = index === -1 ? [] : this.#handed.splice(index, 1)
    return socket === undefined ? undefined : Listener.inherit(socket.fd, socket.address)
  }

  /** Closes what nobody wanted, and tells what that was. */
  closeRest (): string[] {
    const rest = [
      ...this.#activated.map(({ fd, name }) => ({ fd, text: `descriptor ${fd}${name === undefined ? '' : ` (${name})`}` })),
      ...this.#handed.map(({ fd, address }) => ({ fd, text: format(address) })),
    ]
    this.#activated.length = this.#handed.length = 0
    for (const { fd } of rest) closeSync(fd)
    return rest.map(({ text }) => text)
  }
}

function isSame (present: Address, wanted: Address): boolean {
  if ('path' in present || 'path' in wanted) return 'path' in present && 'path' in wanted && present.path === wanted.path
  return present.host === wanted.host && (wanted.port === 0 || present.port === wanted.port)
}
