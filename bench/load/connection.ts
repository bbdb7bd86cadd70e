import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { Answer } from './answer.js'
import { Lost } from './tally.js'

export interface Target {
  host: string
  port: number
  /** Certificate authority to trust; with one the connection is TLS. */
  ca?: string
}

/** What to send after the head of a request. Ends early if the connection does. */
export type Body = AsyncIterable<string | Buffer>

const nothing = (): void => {}

/** A connection of HTTP/1.1, for one request at a time. */
export class Connection {
  readonly #socket: Socket
  #answer: Answer | undefined
  #error: unknown
  #hasEnded = false
  #wake = nothing

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      try {
        this.#answer?.push(bytes)
      } catch (error) {
        this.#error = error
      }
      this.#wake()
    })
    socket.on('error', error => { this.#error ??= error; this.#wake() })
    for (const event of ['end', 'close']) socket.on(event, () => { this.#hasEnded = true; this.#wake() })
  }

  /**
   * @param session of an earlier TLS connection to the same server
   * @param timeout ms
   */
  static async open ({ host, port, ca }: Target, timeout: number, session?: Buffer): Promise<Connection> {
    const socket = ca === undefined
      ? net.connect({ host, port, noDelay: true })
      : tls.connect({ host, port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'], ...session === undefined ? {} : { session } })
    try {
      await once(socket, ca === undefined ? 'connect' : 'secureConnect', { signal: AbortSignal.timeout(timeout) })
    } catch (error) {
      socket.on('error', nothing).destroy()
      const { name, code } = error as NodeJS.ErrnoException
      throw new Lost(code === 'ECONNREFUSED' ? 'refused' : name === 'AbortError' ? 'timeout' : 'reset')
    }
    return new Connection(socket)
  }

  get socket (): Socket {
    return this.#socket
  }

  get isUsable (): boolean {
    return !this.#hasEnded && this.#error === undefined
  }

  close (): void {
    this.#hasEnded = true
    this.#socket.destroy()
  }

  /**
   * Sends a request and resolves when its answer is whole and a 2xx; afterwards the connection is usable or closed.
   *
   * @throws Lost
   */
  async ask (head: string, timeout: number, onBody: (bytes: Buffer) => void = nothing, body?: Body): Promise<void> {
    const answer = this.#answer = new Answer(onBody)
    const deadline = performance.now() + timeout
    const timer = setTimeout(() => this.#wake(), timeout + 1)
    try {
      this.#socket.write(head)
      if (body !== undefined) await this.#send(body, answer)
      while (!answer.isWhole) {
        if (this.#error instanceof Lost) throw this.#error
        if (this.#error !== undefined || this.#hasEnded) throw new Lost(answer.hasBegun ? 'truncated' : 'reset')
        if (performance.now() > deadline) throw new Lost('timeout')
        await new Promise<void>(resolve => { this.#wake = resolve })
      }
      if (this.#error instanceof Lost) throw this.#error
      if (answer.status < 200 || answer.status > 299) throw new Lost('not2xx')
      if (!answer.mayStay) this.close()
    } catch (error) {
      this.close()
      throw error
    } finally {
      clearTimeout(timer)
      this.#wake = nothing
      this.#answer = undefined
    }
  }

  /** In chunks; an answer that is whole before is the server's decision. */
  async #send (body: Body, answer: Answer): Promise<void> {
    for await (const part of body) {
      if (answer.isWhole || !this.isUsable) return
      this.#socket.write(`${Buffer.byteLength(part).toString(16)}\r\n`)
      this.#socket.write(part)
      if (!this.#socket.write('\r\n')) await Promise.race([once(this.#socket, 'drain').catch(nothing), once(this.#socket, 'close').catch(nothing), delay(1000, undefined, { ref: false })])
    }
    this.#socket.write('0\r\n\r\n')
  }
}
