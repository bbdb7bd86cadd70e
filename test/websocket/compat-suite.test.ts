import { readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Child, plainEnvironment } from '../child.js'

const packageFile = createRequire(import.meta.url).resolve('@fastify/websocket/package.json')
const suite = join(dirname(realpathSync(packageFile)), 'test')
const preload = fileURLToPath(new URL('fixtures/drop-in.cjs', import.meta.url))

/** The tests of theirs that fail against the drop-in with these guards. */
async function failuresWith (t: Test, guards: object | undefined): Promise<string[]> {
  const files = readdirSync(suite).filter(name => name.endsWith('.test.js')).toSorted()
  t.equal((createRequire(import.meta.url)(packageFile) as { version: string }).version, '11.3.6')
  t.same(files, ['base.test.js', 'hooks.test.js', 'inject.test.js', 'router.test.js'])
  const free = createServer().listen(0)
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  free.close()
  const env = { ...plainEnvironment(), FREE_PORT: String(port), ...guards && { GUARDS: JSON.stringify(guards) } }
  const child = new Child(t, process.execPath, ['--require', preload, '--no-warnings', '--test', '--test-reporter=tap', '--test-concurrency=2', ...files.map(name => join(suite, name))],
    { env })
  await child.ended
  t.ok(/^# tests 66$/m.test(child.output) && /^# skipped 0$/m.test(child.output), 'all of them ran')
  return [...child.output.matchAll(/^\s*not ok \d+ - (.+)$/gm)].map(([, name]) => name as string)
}

test('the published tests of @fastify/websocket 11.3.6 pass against the drop-in', { timeout: 120_000 }, async t => {
  t.same(await failuresWith(t, undefined), [])
})

/** Their options that a guard takes the place of are refused beside it. */
const CONTRADICTIONS = [
  'Should be able to pass clientTracking option in false to ws',
  'Should be able to pass preClose option to override default',
  'Should fail if custom preClose is not a function',
]

test('they pass with the limits, the heartbeat, the held messages and the drain on, but for those that contradict them', { timeout: 120_000 }, async t => {
  t.same(await failuresWith(t, {
    maxPayload: 65_536,
    maxBufferedBytes: 1_048_576,
    maxConnections: 1000,
    maxConnectionsPerAddress: 256,
    maxConnectionsPerUser: 32,
    maxMessagesPerSecond: 1000,
    maxBytesPerSecond: 1_048_576,
    handshakeTimeout: 10_000,
    idleTimeout: 60_000,
    lifetime: 60_000,
    pingInterval: 1000,
    earlyMessages: true,
    drain: true,
  }), CONTRADICTIONS)
})
