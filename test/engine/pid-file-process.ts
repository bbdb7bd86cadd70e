import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test } from 'tap'
import { Child, plainEnvironment } from '../child.js'

const FIXTURE = fileURLToPath(new URL('fixtures/pid-file-on-command.js', import.meta.url))

/** What a start that fails says of its exit code and its reason. */
export const HELD = 'refused 73 FST_KEEP_ENGINE_PID_FILE_HELD'
export const UNUSABLE = 'refused 73 FST_KEEP_ENGINE_PID_FILE_UNUSABLE'

/** Options of a process that is not root, whoever runs the tests. */
export const asOrdinaryUser: ProcessOptions = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A process that does with a PID file what it is told. */
export class PIDFileProcess extends Child {
  constructor (t: Test, path: string, { env = {}, command = process.execPath, args = [FIXTURE], extraStdio = [], ...ids }: ProcessOptions = {}) {
    super(t, command, args, { env: { ...plainEnvironment(), ...env, PID_FILE: path }, stdio: ['pipe', 'pipe', 'pipe', ...extraStdio], ...ids })
    const { stdin } = this.process
    stdin?.on('error', () => {})
    t.teardown(() => { stdin?.destroy() })
  }

  /** `done`, or `refused <exit code> <code>`; the output has the whole message. */
  async tell (command: string): Promise<string> {
    const before = this.output.length
    this.process.stdin?.write(`${command}\n`)
    return (await this.match(new RegExp(`^[^]{${before}}[^]*?\\d+: ${command} (done|refused .*)\n`)))[1] as string
  }
}

interface ProcessOptions {
  env?: NodeJS.ProcessEnv
  command?: string
  args?: readonly string[]
  /** Descriptors that it inherits as 3 and up. */
  extraStdio?: ReadonlyArray<number | undefined>
  uid?: number
  gid?: number
}

/** The arguments for a shell that sets limits first. */
export function underLimit (limit: string): ProcessOptions {
  return { command: 'sh', args: ['-c', `${limit}; exec "$0" "$@"`, process.execPath, FIXTURE] }
}

/** A directory of the test, with the path of a PID file that does not exist yet. */
export function place (t: Test): { directory: string, path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'pid-file-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return { directory, path: join(directory, 'app.pid') }
}

/** The number of a process that has ended. */
export async function deadPID (): Promise<number> {
  const child = spawn('true')
  await once(child, 'close')
  return child.pid as number
}
