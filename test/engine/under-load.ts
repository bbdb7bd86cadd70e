import { fileURLToPath } from 'node:url'
import { type Test } from 'tap'
import type { LoadOptions, LoadReport } from '../../bench/load/client.js'
import { Child, plainEnvironment } from '../child.js'

const loader = fileURLToPath(new URL('../../bench/load/main.ts', import.meta.url))

/** The clients that a restart must not show to. */
export const LOADS = {
  'new connections': { kind: 'close', connections: 8 },
  'saturated keep-alive': { kind: 'keep-alive', connections: 8 },
  'keep-alive with think time': { kind: 'think', connections: 40, think: 400 },
  'POST over keep-alive': { kind: 'keep-alive', connections: 8, method: 'POST' },
} satisfies Record<string, Partial<LoadOptions>>

/** A load in a process of its own; ends and reports when told. */
export async function underLoad (t: Test, options: LoadOptions): Promise<() => Promise<LoadReport>> {
  const child = new Child(t, process.execPath, ['--import=tsx', loader, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'pipe'], env: plainEnvironment() })
  await child.match(/running/)
  return async () => {
    child.process.stdin?.end()
    const [report] = await child.match(/\{.*\}/)
    return JSON.parse(report) as LoadReport
  }
}
