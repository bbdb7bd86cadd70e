import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import tap, { test } from 'tap'
import { Child, plainEnvironment } from '../child.js'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'fastkeep-node-'))
tap.teardown(() => rmSync(folder, { recursive: true }))

const present = Number(process.versions.node.split('.')[0])
const FILES = ['bus', 'server', 'process', 'sockets', 'restart', 'health', 'systemd-notifier', 'loop-watch'].map(name => fileURLToPath(new URL(`${name}.test.ts`, import.meta.url)))

/** The npm package `node` brings Node itself. */
export async function nodeOf (version: number): Promise<string> {
  const { stdout } = await run('npx', ['--yes', '--package', `node@${version}`, 'node', '-p', 'process.execPath'], { cwd: folder, env: plainEnvironment() })
  return stdout.trim()
}

/** Runs what depends on Node itself on another version than the present one. */
export function testOnNode (version: number): void {
  test(`the bus, processes, the server, its sockets, restarts and systemd on Node ${version}`, { skip: version === present && 'all tests run on it' }, async t => {
    const node = await nodeOf(version)
    for (const file of FILES) {
      const child = new Child(t, node, ['--import=tsx', file], { env: { ...plainEnvironment(), TAP_TIMEOUT: '170' } })
      const { code } = await child.ended
      const failed = child.output.split('\n').filter(line => /^ *not ok/.test(line)).join('\n')
      t.equal(code, 0, `${file}\n${failed}`)
    }
  })
}
