import { readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Child, plainEnvironment } from '../child.ts'

const packageFile = createRequire(import.meta.url).resolve('@fastify/secure-session/package.json')
const suite = join(dirname(realpathSync(packageFile)), 'test')
const files = readdirSync(suite).filter(name => name.endsWith('.test.js')).toSorted()

/** Tests of theirs that our drop-in fails on purpose, each with the reason; none so far. */
const DEVIATIONS: ReadonlySet<string> = new Set()

test('the published tests of @fastify/secure-session 8.4.0 pass against the drop-in', { timeout: 300_000 }, async t => {
  t.equal((createRequire(import.meta.url)(packageFile) as { version: string }).version, '8.4.0')
  t.equal(files.length, 22)
  const child = new Child(t, process.execPath, [
    '--require', fileURLToPath(new URL('fixtures/drop-in.cjs', import.meta.url)), '--no-warnings',
    '--test', '--test-reporter=tap', '--test-concurrency=2', ...files.map(name => join(suite, name)),
  ], { env: plainEnvironment() })
  const { code } = await child.ended
  const failed = [...child.output.matchAll(/^\s*not ok \d+ - (.+)$/gm)].map(([, name]) => name!).filter(name => !DEVIATIONS.has(name))
  t.same(failed, [], child.output.slice(0, 20_000))
  t.equal(code, 0)
  t.match(child.output, /^# pass (?:[5-9]\d|\d{3,})$/m, 'they did run')
})
