import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { Outbox, type Data, type Outlet, type SendCallback, type SendOptions } from './outbox.js'
import type { GuardedWebSocket, Peer } from './socket.js'
import type { SocketGuard } from './socket-guard.js'
import { leaveTopic } from './topic-access.js'

/** What the modules of this package see of a socket. */
export interface InnerSocket extends GuardedWebSocket {
  readonly guard: SocketGuard
  readonly outbox: Outbox
}

/** Makes the guard of a socket, by the connection on which its handshake was admitted. */
export type GuardMaker = (socket: InnerSocket, connection: Duplex) => SocketGuard

/** The methods of an EventEmitter by which all others attach a listener. */
const ATTACHING = ['on', 'addListener', 'prependListener'] as const

/** What ws calls on a socket once it has written the 101. Its types leave it out. */
type Open = (connection: Duplex, head: Buffer, options: { maxPayload: number }) => void

/**
 * The class of the sockets that the WebSocketServer makes, instead of its own: whatever comes and goes passes the guard.
 * A class, not methods put on each socket: ten thousand of them share it.
 */
export function guardedSocketClass<Class extends typeof WebSocket> (BaseClass: Class, makeGuard: GuardMaker): Class {
  const Base: typeof WebSocket = BaseClass
  const open = (Base.prototype as unknown as { setSocket: Open }).setSocket
  const unsentBytes = getterOf<number>(Base.prototype, 'bufferedAmount')

  class GuardedSocket extends Base implements Outlet {
    declare guard: SocketGuard
    declare outbox: Outbox
    declare stream: Duplex | undefined

    setSocket (...[connection, head, options]: Parameters<Open>): void {
      this.guard = makeGuard(this, connection)
      this.outbox = new Outbox(this, this.guard.policy, this.guard.topics.turn)
      this.stream = this.guard.takesSharedFrames ? connection : undefined
      open.call(this, connection, head, { ...options, maxPayload: this.guard.maxFrame })
    }

    override emit (event: string | symbol, ...args: unknown[]): boolean {
      return this.guard.receive(event, args) || super.emit(event, ...args)
    }

    override send (message: Data, options?: SendOptions | SendCallback, callback?: SendCallback): void {
      if (typeof options === 'function') this.outbox.send(message, {}, options)
      else this.outbox.send(message, options ?? {}, callback)
    }

    sendAsync (message: string | Uint8Array): Promise<void> { return this.outbox.sendAsync(message) }

    override close (code?: number, reason?: string | Buffer): void {
      if (this.isOpen) this.outbox.release()
      super.close(code, reason)
    }

    get unsentBytes (): number { return unsentBytes.call(this) }
    get isOpen (): boolean { return this.readyState === this.OPEN }

    transmit (message: Data, options: SendOptions, callback?: SendCallback): void {
      super.send(this.guard.outgoing(message, options), options, callback)
    }

    /** One Pong may answer several Pings (RFC 6455, 5.5.3): who pings and does not read gets none, else they would pile up. */
    override pong (...args: Parameters<WebSocket['pong']>): void {
      if (this.unsentBytes <= this.guard.policy.maxBufferedBytes) super.pong(...args)
      else (args[2] as (() => void) | undefined)?.()
    }

    onWrite (): void { this.guard.hasTraffic = true }

    onSlowReader (): void {
      this.guard.close(1013, 'too slow', 'FST_KEEP_WEBSOCKET_SLOW_READER', { bufferedAmount: this.bufferedAmount })
    }

    onLeftOut (count: number, isFirst: boolean): void {
      this.guard.policy.counters.leftOut += count
      if (!isFirst) return
      this.guard.report('warn', 'slow', { code: 'FST_KEEP_WEBSOCKET_PUBLICATIONS_LEFT_OUT', bufferedAmount: this.bufferedAmount },
        'The peer of a WebSocket does not read fast enough: publications to it are left out')
    }

    get peer (): Peer { return this.guard.peer }
    get latency (): number | undefined { return this.guard.latency }
    subscribe (topic: string): void { this.guard.topics.subscribe(this, topic) }
    unsubscribe (topic: string): void { leaveTopic(this, topic) }
  }
  // `newListener` would tell too, at the price of a listener of its own on each socket.
  for (const name of ATTACHING) {
    const attach = Base.prototype[name] as (this: unknown, event: string | symbol, listener: unknown) => WebSocket
    Object.defineProperty(GuardedSocket.prototype, name, {
      configurable: true,
      writable: true,
      value (this: GuardedSocket, event: string | symbol, listener: unknown) {
        if (event === 'message') this.guard.expectListener()
        return attach.call(this, event, listener)
      },
    })
  }
  // Its types have it as a field.
  Object.defineProperty(GuardedSocket.prototype, 'bufferedAmount', {
    enumerable: true,
    configurable: true,
    get (this: GuardedSocket) { return this.unsentBytes + this.outbox.size },
  })
  return GuardedSocket as unknown as Class
}

function getterOf<Value> (prototype: object, name: string): (this: unknown) => Value {
  const getter = Object.getOwnPropertyDescriptor(prototype, name)?.get
  return getter ?? getterOf(Object.getPrototypeOf(prototype) as object, name)
}
