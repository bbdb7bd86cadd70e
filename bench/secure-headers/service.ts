import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** One variant in a process of its own. */
export class Service {
  readonly #process: ChildProcess
  readonly #port: number

  private constructor (process: ChildProcess, port: number) {
    this.#process = process
    this.#port = port
  }

  /** @param variant a key of `VARIANTS` in programs/service.js */
  static async start (variant: string): Promise<Service> {
    const file = fileURLToPath(new URL('programs/service.js', import.meta.url))
    const child = spawn(process.execPath, [file, variant], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(child.stdout, 'data') as [Buffer]
    return new Service(child, Number(String(line).split(' ')[1]))
  }

  get pid (): number {
    return this.#process.pid as number
  }

  url (path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`
  }

  async end (): Promise<void> {
    const ended = once(this.#process, 'exit')
    if (this.#process.kill()) await ended
  }
}
