import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mock } from 'node:test'
import tls, { type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { createServerContext, TicketChain, type ServerContextOptions, type TicketOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { handshake, listen } from './lab.ts'
import { authority, files, leaf } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const ca = root.certPem
const { certPem: cert, keyPem: key } = await leaf(root)
const hour = 3_600_000
/** The beginning of the present epoch, or of one after it. */
const present = Math.floor(Date.now() / (8 * hour))
const epoch = (offset: number) => (present + offset) * 8 * hour
const versions = ['TLSv1.2', 'TLSv1.3'] as const

async function serve (t: Test, options: Partial<ServerContextOptions> = {}) {
  const context = createServerContext({ cert, key, watch: false, ...options })
  const server = tls.createServer(context.options, socket => socket.on('error', () => {}).end('x'))
  const port = await listen(t, server)
  t.teardown(context.attach(server))
  return { context, port }
}

async function sessionFrom (t: Test, port: number, version: typeof versions[number]): Promise<Buffer> {
  const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca, minVersion: version, maxVersion: version })
  t.teardown(() => socket.destroy())
  const [session] = await once(socket, 'session') as [Buffer]
  socket.destroy()
  return session
}

/** A session of TLS 1.2 is not offered to a server that may speak 1.3. */
async function resumes (t: Test, port: number, session: Buffer, version: typeof versions[number]): Promise<boolean> {
  const socket: TLSSocket = await handshake(t, port, { ca, session, maxVersion: version })
  const isReused = socket.isSessionReused()
  socket.destroy()
  return isReused
}

/** Milliseconds within a test's own clock; real sockets need the real timers. */
function clock (t: Test, now: number): { to: (now: number) => void } {
  mock.timers.enable({ apis: ['Date'], now })
  t.teardown(() => mock.timers.reset())
  return { to: now => mock.timers.setTime(now) }
}

test('a chain goes on from epoch to epoch, the same in every process that has a link of it', async t => {
  const time = clock(t, 1_000 * hour)
  const one = new TicketChain({ epochLength: hour })
  const link = one.link()
  const other = new TicketChain({ link })
  t.same(other.keys(), one.keys())
  const keys = one.keys()
  time.to(1_003 * hour)
  t.notSame(one.keys(), keys)
  t.same(other.keys(), one.keys())
  t.same(new TicketChain({ link }).keys(), one.keys(), 'a newcomer with an old link catches up')
  t.notMatch(JSON.stringify(one.link()), link.key, 'and the old link is gone')
  t.equal(one.link().epoch, 1_003)
})

test('the keys of an epoch, which every context holds, do not tell the next link', async t => {
  const time = clock(t, 1_000 * hour)
  const chain = new TicketChain({ epochLength: hour })
  const keys = chain.keys()
  time.to(1_001 * hour)
  const next = Buffer.from(chain.link().key, 'base64')
  t.notOk(keys.includes(next.subarray(0, 16)))
  t.notOk(keys.includes(next.subarray(16)))
})

test('machines with one secret have one chain, whenever they start', async t => {
  const time = clock(t, Date.UTC(2026, 10, 1))
  const secret = Buffer.alloc(32, 7)
  const early = new TicketChain({ secret })
  time.to(Date.UTC(2026, 10, 3))
  t.same(new TicketChain({ secret }).keys(), early.keys())
  t.notSame(new TicketChain({ secret: Buffer.alloc(32, 8) }).keys(), early.keys())
  t.notSame(new TicketChain({ secret, epochLength: hour }).keys(), early.keys())
})

test('a clock that goes back brings no erased key back', async t => {
  const time = clock(t, 1_000 * hour)
  const chain = new TicketChain({ epochLength: hour })
  time.to(1_001 * hour)
  const keys = chain.keys()
  time.to(999 * hour)
  t.same(chain.keys(), keys)
})

for (const version of versions) {
  test(`over ${version} a ticket resumes within its epoch, and costs one full handshake after it`, async t => {
    const time = clock(t, epoch(0))
    const { context, port } = await serve(t)
    const session = await sessionFrom(t, port, version)
    t.ok(await resumes(t, port, session, version))
    await context.reload()
    t.ok(await resumes(t, port, session, version), 'after a reload too')
    time.to(epoch(1))
    context.useTicketLink(context.ticketLink as NonNullable<typeof context.ticketLink>)
    t.notOk(await resumes(t, port, session, version), 'and no error')
  })

  test(`over ${version} the two-key callback lets a ticket of the epoch before resume, and none older`, async t => {
    const time = clock(t, epoch(0))
    const { port } = await serve(t, { tickets: { keepsPrevious: true } })
    const session = await sessionFrom(t, port, version)
    t.ok(await resumes(t, port, session, version))
    time.to(epoch(1))
    t.ok(await resumes(t, port, session, version))
    time.to(epoch(2))
    t.notOk(await resumes(t, port, session, version))
  })

  test(`over ${version} no session is resumed from another application`, async t => {
    const link = new TicketChain().link()
    const one = await serve(t, { tickets: { link, application: 'one' } })
    const same = await serve(t, { tickets: { link, application: 'one' } })
    const other = await serve(t, { tickets: { link, application: 'other' } })
    const session = await sessionFrom(t, one.port, version)
    t.ok(await resumes(t, same.port, session, version))
    t.notOk(await resumes(t, other.port, session, version))
  })
}

test('keys roll by themselves at the end of an epoch', async t => {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: epoch(0) })
  t.teardown(() => mock.timers.reset())
  const context = createServerContext({ cert, key, watch: false })
  const server = tls.createServer(context.options)
  t.teardown(context.attach(server))
  const before = server.getTicketKeys()
  mock.timers.tick(8 * hour - 1)
  t.same(server.getTicketKeys(), before)
  mock.timers.tick(1)
  t.notSame(server.getTicketKeys(), before)
  const second = server.getTicketKeys()
  mock.timers.tick(8 * hour)
  t.notSame(server.getTicketKeys(), second, 'time and again')
})

test('a ticket lives for half an epoch', async t => {
  t.equal(createServerContext({ cert, key }).options.sessionTimeout, 4 * 3_600)
  t.equal(createServerContext({ cert, key, tickets: { epoch: hour } }).options.sessionTimeout, 1_800)
})

test('tickets are turned off by false', async t => {
  const { port } = await serve(t, { tickets: false })
  const socket = await handshake(t, port, { ca, maxVersion: 'TLSv1.2' })
  t.equal(socket.getTLSTicket(), undefined)
  t.equal(createServerContext({ cert, key, tickets: false }).ticketLink, undefined)
})

async function worker (t: Test, ticketLink?: object): Promise<{ child: ChildProcess, port: number }> {
  const child = fork(fileURLToPath(new URL('fixtures/ticket-worker.js', import.meta.url)), { env: { ...process.env, NODE_OPTIONS: '' }, execArgv: [] })
  t.teardown(() => child.kill('SIGKILL'))
  child.send({ ticketLink, cert, key })
  const [port] = await once(child, 'message') as [number]
  return { child, port }
}

test('processes that got the link of one chain resume each other\'s sessions, after a reload too', async t => {
  const chain = new TicketChain()
  const workers = await Promise.all([1, 2, 3, 4].map(() => worker(t, chain.link())))
  const sessions = await Promise.all(versions.map(async version => ({ version, session: await sessionFrom(t, workers[0]?.port ?? 0, version) })))
  for (const round of ['at first', 'after a reload']) {
    for (const { port } of workers) for (const { session, version } of sessions) t.ok(await resumes(t, port, session, version), round)
    for (const { child } of workers) {
      child.send('reload')
      t.same(await once(child, 'message').then(([message]) => message), 'reloaded')
    }
  }
  const stranger = await worker(t)
  for (const { session, version } of sessions) t.notOk(await resumes(t, stranger.port, session, version), 'and one without the link does not')
})

test('what is no secret and no link is refused, and never shown', async t => {
  t.testdir({})
  const { cert: short } = files(t, 'short', { certPem: 'too short', keyPem: '' } as never)
  const refused = (tickets: TicketOptions) => () => createServerContext({ cert, key, tickets })
  t.throws(refused({ secret: short }), { code: code('TICKET_SECRET_SHORT'), message: /short\.pem holds 9 bytes/ })
  t.throws(refused({ secret: Buffer.alloc(31) }), { code: code('TICKET_SECRET_SHORT') })
  t.throws(refused({ link: { epoch: 1, epochLength: 1, key: 'YWJj' } }), { code: code('OPTION_INVALID'), message: /ticketLink.*not shown/ })
  t.throws(refused({ epoch: 1_000 }), { code: code('OPTION_INVALID'), message: /from 600000 to 604800000/ })
  t.throws(() => createServerContext({ cert, key, tickets: true as never }), { code: code('OPTION_INVALID') })
  t.throws(() => createServerContext({ psk: { keys: { alice: Buffer.alloc(32) } }, tickets: { epoch: hour } }), { code: code('OPTION_INVALID'), message: /"psk" and "tickets" contradict/ })
})
