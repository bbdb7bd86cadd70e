import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { type Test } from 'tap'
import { isHeldBy, readPIDFile, requestControl, type EngineStatus } from '@fastkeep/engine'
import { Child, plainEnvironment } from '../child.js'

export const CLI = fileURLToPath(new URL('../../packages/fastkeep/dist/cli.js', import.meta.url))

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

interface Options {
  env?: NodeJS.ProcessEnv
  /** Options of Node itself. */
  nodeArgs?: readonly string[]
}

/** A user's project in a directory of its own, and the command in it. */
export class Project {
  readonly directory: string
  readonly pidFile: string
  readonly #test: Test

  constructor (t: Test) {
    this.#test = t
    this.directory = mkdtempSync(join(tmpdir(), 'project-'))
    chmodSync(this.directory, 0o755)
    cpSync(fixtures, this.directory, { recursive: true })
    symlinkSync(modules, join(this.directory, 'node_modules'))
    this.pidFile = this.path('app.pid')
    t.teardown(() => {
      this.#endService()
      rmSync(this.directory, { recursive: true, force: true })
    })
  }

  path (name: string): string {
    return join(this.directory, name)
  }

  /** Begins a command. */
  begin (args: readonly string[], { env = {}, nodeArgs = [] }: Options = {}): Child {
    return new Child(this.#test, process.execPath, [...nodeArgs, CLI, ...args], { cwd: this.directory, env: { ...plainEnvironment(), NODE_NO_WARNINGS: '1', ...env } })
  }

  /** Runs a command to its end. */
  async run (args: readonly string[], options?: Options): Promise<{ code: number | null, output: string }> {
    const child = this.begin(args, options)
    const { code } = await child.ended
    return { code, output: child.output }
  }

  /** The same in a session of its own, as a service manager does: nobody can be asked. */
  async runWithoutTerminal (args: readonly string[]): Promise<{ code: number | null, output: string }> {
    const child = new Child(this.#test, 'setsid', ['--wait', process.execPath, CLI, ...args], { cwd: this.directory, env: plainEnvironment() })
    const { code } = await child.ended
    return { code, output: child.output }
  }

  /** A service in the foreground. */
  async start (app: string, args: readonly string[] = [], options?: Options): Promise<{ child: Child, url: string }> {
    const child = this.begin(['start', app, '--pid-file', this.pidFile, '--drain-restart-idle-window', '50', ...args], options)
    const [, url] = await child.match(/Serving on (http:[^"\s]+)/) as unknown as [string, string]
    return { child, url }
  }

  /** What a service says of itself once it serves. An app without a logger writes nothing. */
  async serving (child: Child): Promise<EngineStatus> {
    const end = { hasCome: false }
    child.exited.then(() => { end.hasCome = true }, () => {})
    for (;;) {
      const status = await requestControl(`${this.pidFile}.sock`, 'status').catch(() => undefined) as EngineStatus | undefined
      if (status?.state === 'STARTED') return status
      if (end.hasCome) throw new Error(`it ended:\n${child.output}`)
      await delay(20)
    }
  }

  #endService (): void {
    // Never by the mere content: what is in an emptied file is 0, the group of this very process.
    const file = readPIDFile(this.pidFile)
    if (file.state === 'running' && isHeldBy(this.pidFile, file.pid)) process.kill(file.pid, 'SIGKILL')
  }
}
