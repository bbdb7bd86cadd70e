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
/** What depends on Node itself: whole files, or the tests of them that tell most. */
const FILES: Readonly<Record<string, RegExp | undefined>> = {
  bus: undefined,
  server: undefined,
  drain: undefined,
  process: undefined,
  'exit-code': undefined,
  sockets: undefined,
  restart: undefined,
  health: undefined,
  'systemd-notifier': undefined,
  'loop-watch': undefined,
  'signal-handler': undefined,
  'log-destination': /no service down|uncaught/,
  daemonizer: /exits with 0 and prints|in the body of its main module|sockets or threads|survives the end of the terminal/,
  'pid-file': /second instance|after kill -9|dropped its privileges/,
  'drop-privileges': /asked from before the bind|drop that is not complete/,
  'crash-policy': /request that is under way is answered/,
  autoreloader: /which the process has loaded|loaded while the service runs|by default the process is replaced/,
}

/** The npm package `node` brings Node itself. */
export async function nodeOf (version: number): Promise<string> {
  const { stdout } = await run('npx', ['--yes', '--package', `node@${version}`, 'node', '-p', 'process.execPath'], { cwd: folder, env: plainEnvironment() })
  return stdout.trim()
}

/** Runs what depends on Node itself on another version than the present one. */
export function testOnNode (version: number): void {
  test(`the engine on Node ${version}`, { skip: version === present && 'all tests run on it' }, async t => {
    const node = await nodeOf(version)
    for (const [name, tests] of Object.entries(FILES)) {
      const file = fileURLToPath(new URL(`${name}.test.ts`, import.meta.url))
      const child = new Child(t, node, ['--import=tsx', file], {
        env: { ...plainEnvironment(), TAP_TIMEOUT: '170', ...tests !== undefined && { TAP_GREP: String(tests) } },
      })
      const { code } = await child.ended
      const failed = child.output.split('\n').filter(line => /^ *not ok/.test(line)).join('\n')
      t.equal(code, 0, `${file}\n${failed}`)
    }
  })
}
