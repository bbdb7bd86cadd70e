import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Of processes that were started here and may still run: none outlives the bench, however that ends. */
const ours = new Set<number>()

process.on('exit', () => { for (const pid of ours) kill(pid, 'SIGKILL') })
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15]] as const) process.on(signal, () => process.exit(128 + number))

export interface ProgramOptions {
  /** Default: this Node. */
  readonly command?: string
  /** Passed on as 3, 4 ... */
  readonly descriptors?: readonly number[]
  /** What it writes to standard error is not shown. */
  readonly isQuiet?: boolean
}

/** A process that is measured, or that measures: what it writes, and its end. */
export class Program {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  /** `performance.now()` of its end. */
  endedAt: number | undefined
  #unread = ''
  #hasEnded = false
  #wake = (): void => {}

  constructor (args: readonly string[], env: NodeJS.ProcessEnv = {}, { command = process.execPath, descriptors = [], isQuiet = false }: ProgramOptions = {}) {
    this.process = spawn(command, args, { stdio: ['pipe', 'pipe', isQuiet ? 'ignore' : 'inherit', ...descriptors], env: { ...plainEnvironment(), ...env } })
    const { pid, stdin, stdout } = this.process
    if (pid !== undefined) ours.add(pid)
    stdin?.on('error', () => {})
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#unread += text
      this.#wake()
    })
    this.process.once('exit', () => {
      this.endedAt = performance.now()
      ours.delete(this.pid)
    })
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.#hasEnded = true
      this.#wake()
      return { code, signal } as Ended
    })
  }

  /** One of `programs/`. */
  static start (name: string, env: NodeJS.ProcessEnv = {}): Program {
    return new Program([fileURLToPath(new URL(`programs/${name}.js`, import.meta.url))], env)
  }

  get pid (): number {
    return this.process.pid as number
  }

  /** The next match in what it writes; rejects if it ends before. */
  async next (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#unread)
      if (match !== null) {
        this.#unread = this.#unread.slice(match.index + match[0].length)
        return match
      }
      if (this.#hasEnded) throw new Error(`${this.process.spawnargs.join(' ')} ended before it wrote ${pattern}: ${this.#unread}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  write (line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  async end (signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.process.kill(signal)
    return await this.ended
  }
}

/** A process that one of ours has started and told of, e.g. a daemon. */
export function watchOver (pid: number): void {
  ours.add(pid)
}

/** Ends a process that {@link watchOver} was told of. */
export function endOther (pid: number): void {
  kill(pid, 'SIGKILL')
  leaveAlone(pid)
}

/** A process that ends by itself: its number may soon be that of a stranger. */
export function leaveAlone (pid: number): void {
  ours.delete(pid)
}

function kill (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Without what would configure Node or the engine. */
function plainEnvironment (): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('FASTKEEP_')))
}
