import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { type Test } from 'tap'
import { type Child } from '../child.js'

interface Facts {
  pid: number
  ppid: number
  group: number
  session: number
  terminal: number
  umask: number
  cwd: string
  env: Record<string, string>
  execArgv: string[]
  args: string[]
  files: Record<string, string>
}

/** Whom a daemon tells what it is; the connection ends with it. */
export class Witness {
  readonly port: number
  readonly #connection: Promise<[Socket]>
  #lines: AsyncIterator<string> | undefined

  static async call (t: Test): Promise<Witness> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    return new Witness(t, (server.address() as AddressInfo).port, once(server, 'connection') as Promise<[Socket]>)
  }

  private constructor (readonly t: Test, port: number, connection: Promise<[Socket]>) {
    this.port = port
    this.#connection = connection
  }

  /** What the daemon tells next; rejects if its launcher ends with a failure before it has called. */
  async facts (launcher?: Child): Promise<Facts> {
    const [socket] = await Promise.race([this.#connection, this.#unlessFailed(launcher)])
    socket.on('error', () => {})
    this.#lines ??= (createInterface({ input: socket }) as Interface)[Symbol.asyncIterator]()
    const facts = JSON.parse((await this.#lines.next()).value as string) as Facts
    this.t.teardown(() => {
      try {
        process.kill(-facts.group, 'SIGKILL')
      } catch {
        // It has ended.
      }
      socket.destroy()
    })
    return facts
  }

  async #unlessFailed (launcher: Child | undefined): Promise<[Socket]> {
    const ended = await launcher?.ended
    if (launcher !== undefined && ended?.code !== 0) throw new Error(`ended with ${ended?.code ?? ended?.signal}:\n${launcher.output}`)
    return this.#connection
  }

  async open (terminal: string): Promise<Facts> {
    const [socket] = await this.#connection
    socket.write(`${terminal}\n`)
    return this.facts()
  }

  async gone (): Promise<void> {
    const [socket] = await this.#connection
    if (!socket.closed) await once(socket, 'close')
  }
}
