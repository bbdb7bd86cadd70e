import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { InnerSocket } from './guarded-socket.js'
import type { Data, SendOptions } from './outbox.js'
import type { RoutePolicy } from './route-policy.js'
import type { Peer } from './socket.js'
import type { Topics } from './topics.js'

/** Who was let in at the handshake, and on what terms. */
export interface Admission {
  readonly peer: Peer
  readonly policy: RoutePolicy
  readonly request: FastifyRequest
  readonly log: FastifyBaseLogger
}

/** What this package knows of one socket, and what comes and goes on it passes through. */
export class SocketGuard {
  readonly peer: Peer
  readonly policy: RoutePolicy
  readonly topics: Topics
  readonly log: FastifyBaseLogger
  /** ms that the last ping took. */
  latency: number | undefined
  /** Set by whatever comes or goes (a publication too), reset by the sweep that looks for idle sockets. */
  hasTraffic = true
  /** Bytes that the largest frame may have. */
  readonly maxFrame: number
  /** Whether each message has a signature of its own: then a frame is for one socket, and goes by `send`. */
  readonly isSigned: boolean = false
  readonly #socket: InnerSocket

  constructor (socket: InnerSocket, { peer, policy, log }: Admission, topics: Topics) {
    this.#socket = socket
    this.peer = peer
    this.policy = policy
    this.log = log
    this.topics = topics
    this.maxFrame = policy.maxPayload
  }

  /** Whether frames made once may be written to the connection of this socket, past its `send`. */
  get takesSharedFrames (): boolean {
    return !this.isSigned && this.#socket.extensions === ''
  }

  /** An event of the socket. @returns whether it was dealt with here */
  receive (_event: string | symbol, _args: unknown[]): boolean {
    return false
  }

  /** What is to be sent instead of the message: signed, where that is asked for. */
  outgoing (data: Data, _options: SendOptions): Data {
    this.hasTraffic = true
    return data
  }

  /** Logs and publishes what becomes of the socket, under a stable code. */
  report (_level: 'info' | 'warn', _code: string, _details?: Record<string, unknown>): void {
  }

  /** Closes the socket, logs and publishes why under a stable code, and cuts it where the peer does not answer. */
  close (_closeCode: number, _reason: string, _code: string, _details?: Record<string, unknown>): void {
  }
}
