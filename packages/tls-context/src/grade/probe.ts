import { connect, type Socket } from 'node:net'
import { clientHello, ssl2ClientHello, type Hello } from './client-hello.js'
import { readAnswer, readSsl2Answer, type Answer } from './server-hello.js'
import { suiteByNumber } from './suite.js'

/** Where a server is, and how to ask it. */
export interface Target {
  readonly host: string
  readonly port: number
  /** For SNI; `undefined` for an address. */
  readonly servername: string | undefined
  /** In ms, for one connection. */
  readonly timeout: number
}

/** Connections at a time: enough for speed, and few for a server that counts them. */
const limit = 12

/** Sends ClientHellos, each on a connection of its own, and never more. */
export class Prober {
  readonly target: Target
  connections = 0
  /** Why no connection could be made at all. */
  connectError: NodeJS.ErrnoException | undefined
  #free = limit
  readonly #waiting: Array<() => void> = []

  constructor (target: Target) {
    this.target = target
  }

  /** @param isWhole whether the certificate and the key exchange are wanted, and not the choice alone */
  async ask (hello: Omit<Hello, 'servername'>, isWhole = false): Promise<Answer> {
    const answer = await this.#exchange(clientHello({ ...hello, servername: this.target.servername }), bytes => {
      const read = readAnswer(bytes, keyExchangeOf)
      return read?.kind === 'hello' && isWhole && !read.isComplete ? undefined : read
    })
    return answer ?? { kind: 'nothing' }
  }

  async askSsl2 (suites: readonly number[]): Promise<ReturnType<typeof readSsl2Answer>> {
    return await this.#exchange(ssl2ClientHello(suites), readSsl2Answer)
  }

  async #exchange<Result> (request: Buffer, read: (bytes: Buffer) => Result | undefined): Promise<Result | undefined> {
    while (this.#free === 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#free--
    this.connections++
    try {
      return await this.#exchangeNow(request, read)
    } finally {
      this.#free++
      this.#waiting.shift()?.()
    }
  }

  #exchangeNow<Result> (request: Buffer, read: (bytes: Buffer) => Result | undefined): Promise<Result | undefined> {
    const { host, port, timeout } = this.target
    return new Promise(resolve => {
      const socket: Socket = connect({ host, port, noDelay: true })
      let bytes = Buffer.alloc(0)
      const end = (result?: Result): void => {
        resolve(result)
        socket.destroy()
      }
      socket.setTimeout(timeout, () => end())
      socket.on('connect', () => socket.write(request))
      socket.on('data', chunk => {
        bytes = Buffer.concat([bytes, chunk])
        const result = read(bytes)
        if (result !== undefined) end(result)
      })
      socket.on('close', () => resolve(undefined))
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.syscall === 'connect' || error.syscall === 'getaddrinfo') this.connectError ??= error
        resolve(undefined)
      })
    })
  }
}

function keyExchangeOf (suite: number): 'DHE' | 'ECDHE' | 'other' {
  const { keyExchange } = suiteByNumber(suite)
  return keyExchange === 'DHE' || keyExchange === 'ECDHE' ? keyExchange : 'other'
}
