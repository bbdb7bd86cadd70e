import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import type { SupervisorStatus } from '@fastkeep/engine'
import { type Child, runNode } from '../child.js'

export const SUPERVISOR = new URL('fixtures/supervisor.js', import.meta.url)

export interface Service {
  readonly supervisor: Child
  readonly port: number
  /** Writes what the next process to start will be. */
  deploy: (generation: string) => void
  status: () => Promise<SupervisorStatus>
  get: (path?: string) => Promise<Answer>
}

export interface Answer {
  generation: string
  pid: number
  [key: string]: unknown
}

/** A folder that another user can read too. */
export function folderOf (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-supervisor-'))
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The file that says what the next process to start will be. */
export function generationOf (t: Test, generation: string): string {
  const path = join(folderOf(t), 'generation')
  writeFileSync(path, generation)
  return path
}

/** A supervisor with two workers, unless the options say otherwise. */
export async function supervisedService (t: Test, options: object = {}, env: NodeJS.ProcessEnv = {}, serving = /serve on http:\/\/127\.0\.0\.1:(\d+)/): Promise<Service> {
  const GENERATION = generationOf(t, '0')
  const deploy = (generation: string): void => writeFileSync(GENERATION, generation)
  const child = runNode(t, SUPERVISOR, { GENERATION, OPTIONS: JSON.stringify(options), ...env })
  const [, port] = await child.match(serving)
  await child.match(/Bus STARTED/)
  let asked = 0
  return {
    supervisor: child,
    port: Number(port),
    deploy,
    status: async () => {
      child.kill('SIGPROF')
      const [, text] = await child.match(new RegExp(`^(?:[^]*?status ){${++asked}}(\\{.*\\})`)) as unknown as [string, string]
      return JSON.parse(text) as SupervisorStatus
    },
    get: async (path = '/') => await (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })).json() as Answer,
  }
}

export function isAlive (pid: number): boolean {
  try {
    // One that has ended and that nobody has asked about yet is still there, as Z.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
