import { fileURLToPath } from 'node:url'
import { type LoadOptions, type LoadReport } from '../load/client.js'
import { Program } from './program.js'

/** The load client in a process of its own. */
export class Loader {
  readonly #program: Program

  private constructor (program: Program) {
    this.#program = program
  }

  /** Resolves when it has begun. */
  static async start (options: Omit<LoadOptions, 'host'>): Promise<Loader> {
    const file = fileURLToPath(new URL('../load/main.ts', import.meta.url))
    const program = new Program(['--import=tsx', file, JSON.stringify({ host: '127.0.0.1', ...options })])
    await program.next(/running\n/)
    return new Loader(program)
  }

  async end (): Promise<LoadReport> {
    this.#program.process.stdin?.end()
    const [text] = await this.#program.next(/\{.*\}\n/)
    await this.#program.ended
    return JSON.parse(text) as LoadReport
  }
}
