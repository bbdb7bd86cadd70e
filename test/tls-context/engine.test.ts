import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createPrivateKey } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createServerContext, encryptKey } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.ts'
import { needs, needsRoot } from '../programs.ts'
import { handshake, lab } from './lab.ts'
import { authority, leaf } from './pki.ts'

const program = new URL('fixtures/drops-privileges.js', import.meta.url)

/** A directory that everybody may enter, unlike those of the tests, with the set of a root who then drops his rights. */
async function rootsOwn (t: Test): Promise<{ CERT: string, KEY: string }> {
  const { certPem, keyPem } = await lab(t)
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-tls-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  const paths = { CERT: `${directory}/cert.pem`, KEY: `${directory}/key.pem` }
  writeFileSync(paths.CERT, certPem)
  writeFileSync(paths.KEY, keyPem, { mode: 0o600 })
  return paths
}

test('a key that could not be renewed after the drop of privileges stops the start, before it with mustRead', { skip: needsRoot() }, async t => {
  const paths = await rootsOwn(t)
  const after = runNode(t, program, paths)
  t.equal((await after.ended).code, 78)
  t.match(after.output, /key\.pem could be read at the start and cannot now that privileges are dropped/)
  const before = runNode(t, program, { ...paths, MUST_READ: '1' })
  t.equal((await before.ended).code, 77)
  t.match(before.output, /key\.pem/)
  t.notMatch(before.output, /could be read at the start/)
})

test('with a key that it may read, or without watching, it starts', { skip: needsRoot() }, async t => {
  const paths = await rootsOwn(t)
  await runNode(t, program, { ...paths, WATCH: 'no' }).match(/started as 65534/)
  chownSync(paths.KEY, 65534, 65534)
  await runNode(t, program, { ...paths, MUST_READ: '1' }).match(/started as 65534/)
})

test('warnings, reloads and failures are logged with their codes', async t => {
  const lines: Array<Record<string, unknown>> = []
  const root = await authority('CN=Lab root')
  const soon = await leaf(root, { from: -80, to: 10 })
  const directory = t.testdir({})
  const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`]
  writeFileSync(cert, soon.certPem)
  writeFileSync(key, soon.keyPem, { mode: 0o600 })
  const context = createServerContext({ cert, key, watch: false })
  const app = Fastify({ https: context.options, logger: { level: 'info', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(tlsContext, { context })
  const logged = (code: string) => lines.filter(line => line.code === `FST_KEEP_TLS_CONTEXT_${code}`)
  t.match(logged('EXPIRES_SOON'), [{ level: 40, msg: /expires at .*renew it now/ }])
  writeFileSync(key, '')
  await t.rejects(context.reload())
  t.match(lines.at(-1), { level: 50, code: 'FST_KEEP_TLS_CONTEXT_NOT_PEM', msg: /not renewed, the earlier ones serve on/, message: /is empty/ })
  const renewed = await leaf(root)
  writeFileSync(cert, renewed.certPem)
  writeFileSync(key, renewed.keyPem)
  await context.reload()
  t.match(lines.at(-1), { level: 30, code: 'FST_KEEP_TLS_CONTEXT_RELOADED', changed: ['default'] })
  t.notMatch(JSON.stringify(lines), readFileSync(key, 'utf8').split('\n')[1])
})

test('the launcher of a daemon asks for the passphrase, and the daemon serves with it', { skip: needs('script') }, async t => {
  const { cert, certPem, keyPem, caPem } = await lab(t)
  const [key, log] = [`${cert}.encrypted`, `${cert}.log`]
  writeFileSync(key, encryptKey(createPrivateKey(keyPem), 'sesame'), { mode: 0o600 })
  const program = fileURLToPath(new URL('fixtures/asking-daemon.js', import.meta.url))
  const launcher = new Child(t, 'script', ['--quiet', '--return', '--flush', '--command', `"${process.execPath}" "${program}"`, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...plainEnvironment(), CERT: cert, KEY: key, LOG: log } })
  await launcher.match(/Passphrase of .*: /)
  launcher.process.stdin?.write('sesame\n')
  t.equal((await launcher.ended).code, 0, launcher.output)
  const [, pid, port] = /daemon (\d+) serves https:.*:(\d+)/.exec(readFileSync(log, 'utf8')) ?? []
  t.teardown(() => process.kill(Number(pid), 'SIGKILL'))
  const socket = await handshake(t, Number(port), { ca: caPem })
  t.equal(socket.getPeerX509Certificate()?.toString().trim(), certPem.trim())
  t.notMatch(readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /sesame/)
})
