import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import tap, { type Test } from 'tap'
import { Child, plainEnvironment } from './child.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'fastkeep-node-'))
tap.teardown(() => rmSync(folder, { recursive: true }))

/** The major version on which all tests run. */
export const presentNode = Number(process.versions.node.split('.')[0])

/** The program of another version of Node, which the npm package `node` brings. */
export async function nodeOf (version: number): Promise<string> {
  const { stdout } = await run('npx', ['--yes', '--package', `node@${version}`, 'node', '-p', 'process.execPath'], { cwd: folder, env: plainEnvironment() })
  return stdout.trim()
}

/**
 * Runs a file of tests on another version of Node.
 *
 * @param tests only those whose names match
 */
export async function passesOn (t: Test, node: string, file: string, tests?: RegExp): Promise<void> {
  const child = new Child(t, node, ['--import=tsx', file], {
    env: { ...plainEnvironment(), TAP_TIMEOUT: '170', ...tests !== undefined && { TAP_GREP: String(tests) } },
  })
  const { code } = await child.ended
  const failed = child.output.split('\n').filter(line => /^ *not ok/.test(line)).join('\n')
  t.equal(code, 0, `${file}\n${failed}`)
}
