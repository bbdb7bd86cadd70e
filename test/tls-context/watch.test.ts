import { execFileSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { mock } from 'node:test'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createServerContext, encryptKey, TicketChain, type ContextEvent, type ServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { needs } from '../programs.ts'
import { handshake, serveContext } from './lab.ts'
import { authority, files, leaf, type Issued } from './pki.ts'

const root = await authority('CN=Lab root')
const ca = root.certPem
const [first, second] = [await leaf(root), await leaf(root)]

const next = (context: ServerContext, wanted: ContextEvent) => new Promise(resolve => {
  const end = context.listen((event, details) => {
    if (event !== wanted) return
    end()
    resolve(details)
  })
})

const shownBy = async (t: Test, port: number) => (await handshake(t, port, { ca })).getPeerX509Certificate()?.serialNumber.toLowerCase()
const serialOf = ({ certificate }: Issued) => certificate.serialNumber

test('a directory that is removed, and made anew later, is watched again', async t => {
  const directory = `${t.testdir({})}/certificates/live`
  const write = ({ certPem, keyPem }: Issued) => {
    mkdirSync(directory, { recursive: true })
    writeFileSync(`${directory}/cert.pem`, certPem)
    writeFileSync(`${directory}/key.pem`, keyPem, { mode: 0o600 })
  }
  write(first)
  const { context, port } = await serveContext(t, { cert: `${directory}/cert.pem`, key: `${directory}/key.pem` })
  for (const issued of [second, first]) {
    const failed = next(context, 'reload-failed')
    rmSync(`${t.testdirName}/certificates`, { recursive: true })
    t.match(await failed, { code: /FILE_NOT_FOUND/ })
    const reloaded = next(context, 'reloaded')
    write(issued)
    await reloaded
    t.equal(await shownBy(t, port), serialOf(issued))
  }
})

test('the file of a passphrase that comes after its key is waited for', async t => {
  const directory = t.testdir({ passphrase: 'one\n' })
  const { cert, key } = files(t, 'server', first)
  const encrypt = ({ keyPem }: Issued, passphrase: string) => writeFileSync(key, encryptKey(createPrivateKey(keyPem), passphrase), { mode: 0o600 })
  encrypt(first, 'one')
  const { context, port } = await serveContext(t, { cert, key, passphrase: { file: `${directory}/passphrase` } })
  t.ok(context.files.includes(`${directory}/passphrase`))
  const failed = next(context, 'reload-failed')
  encrypt(second, 'two')
  writeFileSync(cert, second.certPem)
  t.match(await failed, { code: /PASSPHRASE_WRONG/ })
  const reloaded = next(context, 'reloaded')
  writeFileSync(`${directory}/passphrase`, 'two\n')
  await reloaded
  t.equal(await shownBy(t, port), serialOf(second))
})

test('a starting secret of tickets that is replaced counts from then on, and parameters for DHE do', { skip: needs('openssl') }, async t => {
  const directory = t.testdir({})
  const [secret, dhparam] = [`${directory}/secret`, `${directory}/dh.pem`]
  const parameters = (group: string) => writeFileSync(dhparam, execFileSync('openssl', ['genpkey', '-genparam', '-algorithm', 'DH', '-pkeyopt', `group:${group}`], { stdio: ['ignore', 'pipe', 'ignore'] }))
  writeFileSync(secret, Buffer.alloc(48, 1))
  parameters('ffdhe2048')
  const { context } = await serveContext(t, { cert: first.certPem, key: first.keyPem, tickets: { secret }, dhparam })
  t.same(context.files, [dhparam, secret])
  const changes: Array<() => void> = [() => writeFileSync(secret, Buffer.alloc(48, 2)), () => parameters('ffdhe3072')]
  for (const change of changes) {
    const before = JSON.stringify([context.options.ticketKeys, context.options.dhparam])
    const reloaded = next(context, 'reloaded')
    change()
    t.match(await reloaded, { changed: [] })
    t.not(JSON.stringify([context.options.ticketKeys, context.options.dhparam]), before)
  }
  t.same(context.options.ticketKeys, new TicketChain({ secret: Buffer.alloc(48, 2) }).keys())
})

test('a listener that throws does not make a renewal that has happened a failed one', async t => {
  t.testdir({})
  const { context, port } = await serveContext(t, { ...files(t, 'server', first), watch: false })
  const thrown = new Promise(resolve => { process.once('uncaughtException', resolve) })
  const events: string[] = []
  context.listen(() => { throw new Error('a fault of its own') })
  context.listen(event => { events.push(event) })
  files(t, 'server', second)
  await t.resolves(context.reload())
  t.same(events, ['reloaded'])
  t.match(await thrown, { message: 'a fault of its own' })
  t.equal(await shownBy(t, port), serialOf(second))
})

test('a server that is attached twice is asked once, and warnings of a renewal are logged', async t => {
  let asked = 0
  t.testdir({})
  const clients = await authority('CN=Clients')
  const alice = await leaf(clients, { subject: 'CN=alice', names: [], use: 'client' })
  const context = createServerContext({ ...files(t, 'server', first), watch: false, client: { ca: clients.certPem, verify: () => { asked++ } } })
  const lines: Array<Record<string, unknown>> = []
  const app = Fastify({ https: context.options, logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(tlsContext, { context })
  await app.register(async scope => { await scope.register(tlsContext, { context, clientCert: true }) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const [{ port }] = app.addresses() as unknown as [{ port: number }]
  await handshake(t, port, { ca, cert: alice.certPem, key: alice.keyPem })
  // eslint-disable-next-line no-unmodified-loop-condition -- the server modifies it
  while (asked === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(asked, 1)
  const soon = await leaf(root, { from: -80, to: 10 })
  files(t, 'server', soon)
  await context.reload()
  t.equal(lines.filter(({ code }) => code === 'FST_KEEP_TLS_CONTEXT_EXPIRES_SOON').length, 1)
})

test('a certificate that comes near its end while it serves is told of once a day', async t => {
  const day = 86_400_000
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: Date.now() })
  t.teardown(() => mock.timers.reset())
  const context = createServerContext({ cert: first.certPem, key: first.keyPem, watch: false })
  const server = tls.createServer(context.options)
  t.teardown(context.attach(server))
  const told: unknown[] = []
  context.listen((event, details) => { if (event === 'expires-soon') told.push(details) })
  for (let days = 0; days < 58; days++) mock.timers.tick(day)
  t.same(told, [])
  for (let days = 0; days < 4; days++) mock.timers.tick(day)
  t.ok(told.length >= 2 && told.length <= 4, `${told.length} times in 4 days around the 30th day before its end`)
  t.match(told[0], { subject: 'CN=localhost', daysLeft: 29 })
})
