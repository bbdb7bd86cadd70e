import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { sendAsync } from './backpressure.js'
import type { GuardedWebSocket, Peer } from './socket.js'
import type { SocketGuard } from './socket-guard.js'

/** What the modules of this package see of a socket. */
export interface InnerSocket extends GuardedWebSocket {
  readonly guard: SocketGuard
}

/** Makes the guard of a socket, by the connection on which its handshake was admitted. */
export type GuardMaker = (socket: InnerSocket, connection: Duplex) => SocketGuard

/** What ws calls on a socket once it has written the 101. Its types leave it out. */
type Open = (connection: Duplex, head: Buffer, options: { maxPayload: number }) => void

type Data = Parameters<WebSocket['send']>[0]
export interface SendOptions { binary?: boolean | undefined, fin?: boolean | undefined, compress?: boolean | undefined, mask?: boolean | undefined }
type Callback = (error?: Error) => void

/**
 * The class of the sockets that the WebSocketServer makes, instead of its own: whatever comes and goes passes the guard.
 * A class, not methods put on each socket: ten thousand of them share it.
 */
export function guardedSocketClass<Class extends typeof WebSocket> (BaseClass: Class, makeGuard: GuardMaker): Class {
  const Base: typeof WebSocket = BaseClass
  const open = (Base.prototype as unknown as { setSocket: Open }).setSocket

  class GuardedSocket extends Base {
    declare guard: SocketGuard

    setSocket (...[connection, head, options]: Parameters<Open>): void {
      this.guard = makeGuard(this, connection)
      open.call(this, connection, head, { ...options, maxPayload: this.guard.maxFrame })
    }

    override emit (event: string | symbol, ...args: unknown[]): boolean {
      return this.guard.receive(event, args) || super.emit(event, ...args)
    }

    override send (data: Data, options?: SendOptions | Callback, callback?: Callback): void {
      const [settings, done] = typeof options === 'function' ? [{}, options] : [options ?? {}, callback]
      super.send(this.guard.outgoing(data, settings), settings, done)
    }

    get peer (): Peer { return this.guard.peer }
    get latency (): number | undefined { return this.guard.latency }
    subscribe (topic: string): void { this.guard.topics.subscribe(this, topic) }
    unsubscribe (topic: string): void { this.guard.topics.unsubscribe(this, topic) }
    sendAsync (message: string | Uint8Array): Promise<void> { return sendAsync(this, message) }
  }
  return GuardedSocket as unknown as Class
}
