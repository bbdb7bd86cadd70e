import type { ListeningHandle } from '../server/accept-pause.js'
import type { Server } from '../server/server.js'
import type { AcceptMessage, WorkerNote } from './worker-messages.js'

/**
 * Keeps long-lived connections balanced among the workers of a supervisor. Whichever process wakes up first gets a new
 * connection, and that tends to be the same one: above its share a worker leaves them to the others, until the
 * supervisor has it accept again.
 */
export class FairShare {
  readonly #server: Server
  readonly #sockets: WorkerNote['sockets']
  #most = Number.MAX_SAFE_INTEGER

  /** @param onPaused the supervisor is to hear of it at once */
  constructor (server: Server, sockets: WorkerNote['sockets'], onPaused: () => void) {
    this.#server = server
    this.#sockets = sockets
    server.onConnection = () => {
      // Without Node's own channel nobody could have it accept again.
      if (process.channel === undefined || server.connections <= this.#most || this.isPaused) return
      for (const listener of server.listeners) listener.pause()
      if (this.isPaused) onPaused()
    }
    if (process.channel === undefined) return
    process.on('message', (message: unknown, handle: unknown) => {
      if (isAcceptMessage(message) && typeof handle === 'object' && handle !== null) this.#unpause(message.socket, handle as ListeningHandle)
    })
    process.channel.unref()
  }

  /** @param most connections beyond which it leaves new ones to the others. */
  limit (most: number): void {
    this.#most = most
  }

  get isPaused (): boolean {
    return this.#server.listeners.some(({ isPaused }) => isPaused)
  }

  #unpause (socket: number, handle: ListeningHandle): void {
    const fd = this.#sockets[socket]?.fd
    const listener = this.#server.listeners.find(listener => listener.fd === fd)
    if (listener === undefined) handle.close()
    else listener.unpause(handle)
  }
}

function isAcceptMessage (message: unknown): message is AcceptMessage {
  return typeof message === 'object' && message !== null && (message as Partial<AcceptMessage>).fastkeep === 'accept'
}
