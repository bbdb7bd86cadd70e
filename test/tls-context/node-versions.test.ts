import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import tap, { test } from 'tap'
import { Child, plainEnvironment } from '../child.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'fastkeep-node-'))
tap.teardown(() => rmSync(folder, { recursive: true }))

const present = Number(process.versions.node.split('.')[0])

/** What depends on Node's TLS and its OpenSSL: key types by name, private interfaces, sessions bound to hosts, errors, groups. */
const FILES = ['sni', 'tickets', 'client-certificates', 'hostile-peers', 'plain-http', 'profiles', 'client-context', 'request-tls', 'stapling']

for (const version of [20, 22, 24, 26]) {
  test(`names, tickets, client certificates and what is not TLS on Node ${version}`, { skip: version === present && 'all tests run on it' }, async t => {
    // The npm package `node` brings Node itself.
    const { stdout } = await run('npx', ['--yes', '--package', `node@${version}`, 'node', '-p', 'process.execPath'], { cwd: folder, env: plainEnvironment() })
    for (const name of FILES) {
      const file = fileURLToPath(new URL(`${name}.test.ts`, import.meta.url))
      const child = new Child(t, stdout.trim(), ['--import=tsx', file], { env: { ...plainEnvironment(), TAP_TIMEOUT: '100' } })
      const { code } = await child.ended
      t.equal(code, 0, `${name}\n${child.output.split('\n').filter(line => /^ *not ok/.test(line)).join('\n')}`)
    }
  })
}
