import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Test } from 'tap'

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A process of a test: its output line by line, its end, and its certain death with the test. */
export class Child {
  readonly process: ChildProcess
  /** Its own end; what it has started may hold its output open. */
  readonly exited: Promise<unknown>
  readonly ended: Promise<Ended>
  output = ''
  #waiters: Array<() => void> = []

  constructor (t: Test, command: string, args: readonly string[], options: SpawnOptions = {}) {
    // The test runner puts its hooks into every child's NODE_OPTIONS, and they change how a process ends.
    this.process = spawn('env', ['--unset=NODE_OPTIONS', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
        for (const waiter of this.#waiters) waiter()
      })
    }
    this.exited = once(this.process, 'exit')
    this.ended = once(this.process, 'close').then(([code, signal]) => ({ code, signal }) as Ended)
    t.teardown(async () => {
      if (options.detached === true) killGroup(this.pid)
      else this.process.kill('SIGKILL')
      await this.ended
    })
  }

  get pid (): number {
    return this.process.pid as number
  }

  /** The first match in what the process has written or will write; rejects if it ends before. */
  async match (pattern: RegExp): Promise<RegExpMatchArray> {
    const hasEnded = this.ended.then(({ code, signal }) => {
      const match = pattern.exec(this.output)
      if (match !== null) return match
      throw new Error(`ended with ${code ?? signal} before it wrote ${pattern}:\n${this.output}`)
    })
    const hasWritten = new Promise<RegExpMatchArray>(resolve => {
      const look = (): void => {
        const match = pattern.exec(this.output)
        if (match === null) return
        this.#waiters = this.#waiters.filter(waiter => waiter !== look)
        resolve(match)
      }
      this.#waiters.push(look)
      look()
    })
    return await Promise.race([hasWritten, hasEnded])
  }

  kill (signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }
}

/** Ends a process that leads a group, and all that it has started. */
function killGroup (leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Runs a JavaScript file with this Node, as a user would: without what the test runner puts into the environment. */
export function runNode (t: Test, file: URL, env: NodeJS.ProcessEnv = {}, args: readonly string[] = [], options: SpawnOptions = {}): Child {
  return new Child(t, process.execPath, [fileURLToPath(file), ...args], { env: { ...plainEnvironment(), ...env }, ...options })
}

/** The environment without the test runner's variables. */
export function plainEnvironment (): NodeJS.ProcessEnv {
  const isForeign = (name: string): boolean => name === 'NODE_OPTIONS' || name.startsWith('TAP') || name.startsWith('_TAPJS') || name.startsWith('npm_')
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)))
}
