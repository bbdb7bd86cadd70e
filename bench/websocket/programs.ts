import { fileURLToPath } from 'node:url'
import { Program } from '../engine/program.js'

const pathOf = (name: string): string => fileURLToPath(new URL(`programs/${name}.js`, import.meta.url))

export type Kind = 'fastkeep' | 'ws' | '@fastify/websocket' | 'bun'

/** A server, and how to tell it what to do. */
export class Server {
  readonly port: number
  readonly #program: Program

  private constructor (program: Program, port: number) {
    this.#program = program
    this.port = port
  }

  static async start (kind: Kind, env: NodeJS.ProcessEnv = {}): Promise<Server> {
    const program = kind === 'bun'
      ? new Program([pathOf('bun-server')], env, { command: bun() })
      : new Program(['--expose-gc', pathOf('server'), kind], env)
    return new Server(program, Number((await program.next(/serving (\d+)/))[1]))
  }

  /** @returns the first number of the answer of each name, e.g. `{ cpu: 12, wall: 34 }` of `published cpu=12 wall=34` */
  async tell (command: string, answer: string): Promise<Record<string, number>> {
    this.#program.write(command)
    return numbersOf((await this.#program.next(new RegExp(`${answer}([^\n]*)\n`)))[1] ?? '')
  }

  async end (): Promise<void> {
    await this.#program.end('SIGKILL')
  }
}

/** Clients of one server, in a process of their own. */
export class Clients {
  readonly #program: Program

  private constructor (program: Program) {
    this.#program = program
  }

  static async start (task: string, { port }: Server, ...args: number[]): Promise<Clients> {
    const program = new Program([pathOf('client'), task, String(port), ...args.map(String)])
    await program.next(/ready/)
    return new Clients(program)
  }

  async tell (answer: string): Promise<Record<string, number>> {
    this.#program.write('go')
    return numbersOf((await this.#program.next(new RegExp(`${answer}([^\n]*)\n`)))[1] ?? '')
  }

  async end (): Promise<void> {
    await this.#program.end('SIGKILL')
  }
}

/** `a=1 b=2`, or a number alone as `value`. */
function numbersOf (text: string): Record<string, number> {
  const pairs = [...text.matchAll(/(\w+)=(-?[\d.]+)/g)].map(([, name = '', value]) => [name, Number(value)] as const)
  return pairs.length > 0 ? Object.fromEntries(pairs) : { value: Number(text) }
}

/** The program, if there is one: `BUN=/path/to/bun`, otherwise that of the PATH. */
export function bun (): string {
  return process.env.BUN ?? 'bun'
}
