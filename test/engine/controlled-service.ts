import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import { type Child, runNode } from '../child.js'

const controlled = new URL('fixtures/controlled.js', import.meta.url)

export interface ControlledService {
  child: Child
  directory: string
  pidFile: string
  socket: string
  url: string
}

/** A service with a PID file, and so a control socket, in a directory of its own. */
export async function controlledService (t: Test, env: NodeJS.ProcessEnv = {}): Promise<ControlledService> {
  const directory = mkdtempSync(join(tmpdir(), 'control-'))
  chmodSync(directory, 0o755)
  const pidFile = join(directory, 'app.pid')
  const child = runNode(t, controlled, { FASTKEEP_PID_FILE: pidFile, ...env })
  const [, pid, url] = await child.match(/serving (\d+) on (\S+)/) as unknown as [string, string, string]
  t.teardown(() => {
    for (const [, later] of child.output.matchAll(/serving (\d+) on/g)) killIfThere(Number(later))
    killIfThere(Number(pid))
    rmSync(directory, { recursive: true, force: true })
  })
  return { child, directory, pidFile, socket: `${pidFile}.sock`, url }
}

export function killIfThere (pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
