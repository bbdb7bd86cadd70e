import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import engine, { Engine, type EnginePluginOptions } from '@fastkeep/engine'

const DRAIN = { idleWindow: 100, deadline: 5_000 }

async function appWith (t: Test, options: EnginePluginOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(engine, { signals: false, drain: DRAIN, ...options })
  app.get('/', async () => 'hello')
  t.teardown(() => app.close().catch(() => {}))
  return app
}

/** A request over a connection of its own choice; resolves with what came back. */
async function get (url: string, agent: http.Agent): Promise<{ status: number, connection: string | undefined, body: string }> {
  const request = http.get(url, { agent })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, connection: response.headers.connection, body }
}

function portOf (app: FastifyInstance): number {
  return Number(new URL(app.engine.server.urls[0] as string).port)
}

test('listen goes through the bus: its start listeners run, with the plugins of the app ready', async t => {
  const app = await appWith(t)
  const seen: string[] = []
  app.register(async () => { seen.push('plugin') })
  app.engine.subscribe('start', () => { seen.push('start') })
  app.addHook('onListen', async () => { seen.push('onListen') })
  const url = await app.listen({ port: 0 })
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.equal(app.engine.state, 'STARTED')
  t.equal(await (await fetch(url)).text(), 'hello')
  t.same(seen, ['plugin', 'start', 'onListen'])
})

test('listen takes a callback too', async t => {
  const app = await appWith(t)
  const url = await new Promise((resolve, reject) => app.listen({ port: 0 }, (error, address) => { if (error === null) resolve(address); else reject(error) }))
  t.equal(await (await fetch(url as string)).text(), 'hello')
})

test('engine.start() listens where the plugin was told', async t => {
  const app = await appWith(t, { host: '::1' })
  await app.engine.start()
  t.match(app.engine.server.urls, [/^http:\/\/\[::1\]:\d+$/])
  t.equal(await (await fetch(app.engine.server.urls[0] as string)).text(), 'hello')
})

test('several addresses share one port and one server', async t => {
  const app = await appWith(t, { host: ['127.0.0.1', '127.0.0.2', '::1'] })
  await app.engine.start()
  t.equal(app.engine.server.urls.length, 3)
  t.equal(new Set(app.engine.server.urls.map(url => new URL(url).port)).size, 1)
  for (const url of app.engine.server.urls) t.equal(await (await fetch(url)).text(), 'hello')
  await app.engine.exit()
  for (const url of app.engine.server.urls) await t.rejects(fetch(url))
})

test('a port is bound, not yet open, before the start listeners after 75, and given back when the start fails', async t => {
  const app = await appWith(t)
  let port = 0
  app.engine.subscribe('start', async () => {
    port = portOf(app)
    await t.rejects(once(net.connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
    throw new Error('between bind and listen')
  }, { priority: 77 })
  await t.rejects(app.listen({ port: 0 }), { message: /between bind and listen/ })
  const successor = net.createServer().listen(port, '127.0.0.1')
  await once(successor, 'listening')
  successor.close()
})

test('a port that another process takes between bind and listen ends the start with 71', async t => {
  const app = await appWith(t)
  const rival = net.createServer()
  t.teardown(() => rival.close())
  app.engine.subscribe('start', async () => {
    rival.listen(portOf(app), '127.0.0.1')
    await once(rival, 'listening')
  }, { priority: 77 })
  await t.rejects(app.listen({ port: 0 }), { exitCode: 71, cause: { code: 'FST_KEEP_ENGINE_ADDRESS_IN_USE' } })
})

test('an address that the machine does not have is refused by name', async t => {
  const app = await appWith(t, { host: '192.0.2.1' })
  await t.rejects(app.engine.start(), { exitCode: 71, message: /cannot listen on 192\.0\.2\.1:0: this machine does not have the address 192\.0\.2\.1/ })
})

test('close drains: idle connections stay usable for the idle window, no answer is a 503, each says close', async t => {
  const app = await appWith(t, { drain: { idleWindow: 1_000, deadline: 5_000 } })
  const url = await app.listen({ port: 0 })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await get(url, agent)).connection, 'keep-alive')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  const answer = await get(url, agent)
  t.same(answer, { status: 200, connection: 'close', body: 'hello' })
  await closed
  t.equal(app.engine.state, 'EXITED')
  await t.rejects(fetch(url))
})

test('an idle connection is closed after the idle window', async t => {
  const app = await appWith(t)
  const url = await app.listen({ port: 0 })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const socketClosed = new Promise(resolve => {
    agent.once('free', socket => socket.once('close', resolve))
  })
  await get(url, agent)
  await app.close()
  await socketClosed
})

test('of pipelined requests that come while draining all are answered, and only the last says close', async t => {
  const app = await appWith(t, { drain: { idleWindow: 1_000, deadline: 5_000 } })
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += String(chunk) })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  await once(socket, 'close')
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3)
  t.equal(text.match(/connection: close/gi)?.length, 1)
  await closed
})

test('of pipelined requests that are under way when the drain begins all are answered', async t => {
  const app = await appWith(t)
  let release = (): void => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  app.get('/gate', async () => { await gate; return 'gate' })
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += String(chunk) })
  socket.write('GET /gate HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  await once(app.server, 'request')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  release()
  await once(socket, 'close')
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3)
  await closed
})

test('HTTP/2 sessions get GOAWAY, and what is under way is finished', async t => {
  const app = Fastify({ http2: true })
  await app.register(engine, { signals: false, drain: DRAIN })
  let release = (): void => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  app.get('/gate', async () => { await gate; return 'gate' })
  const url = await app.listen({ port: 0 })
  const session = http2.connect(url)
  const stream = session.request({ ':path': '/gate' })
  let body = ''
  stream.setEncoding('utf8').on('data', chunk => { body += chunk as string })
  await once(app.server, 'stream')
  const goaway = once(session, 'goaway')
  const ended = once(stream, 'end')
  const closed = app.close()
  await goaway
  release()
  await ended
  t.equal(body, 'gate')
  await closed
})

test('functions given to onDrain run beside the drain and see its deadline', async t => {
  const app = await appWith(t, { drain: { idleWindow: 10, deadline: 100 } })
  await app.listen({ port: 0 })
  const seen: string[] = []
  app.engine.server.onDrain(async deadline => {
    seen.push('drain')
    await once(deadline, 'abort')
    seen.push('deadline')
  })
  app.engine.server.onDrain(() => t.fail('it was taken away'))()
  app.engine.subscribe('stop', () => { seen.push('stop') })
  await app.close()
  t.same(seen, ['drain', 'deadline', 'stop'])
})

test('upgraded connections that nobody ends are ended at the deadline', async t => {
  const app = await appWith(t, { drain: { idleWindow: 10, deadline: 100 } })
  app.server.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'))
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  await once(socket, 'data')
  const ended = once(socket, 'close')
  await app.close()
  await ended
})

test('close of an app that never listened exits the bus and runs the app\'s own hooks', async t => {
  const app = await appWith(t)
  let closed = false
  app.addHook('onClose', async () => { closed = true })
  t.equal((await app.inject('/')).body, 'hello')
  await app.close()
  await app.close()
  t.equal(closed, true)
  t.equal(app.engine.state, 'EXITED')
})

test('exit closes the app after its stop listeners, so that they still have what it holds', async t => {
  const app = await appWith(t)
  const seen: string[] = []
  app.addHook('onClose', async () => { seen.push('onClose') })
  app.engine.subscribe('stop', () => { seen.push('stop') })
  app.engine.subscribe('exit', () => { seen.push('exit') })
  await app.listen({ port: 0 })
  await app.engine.exit()
  t.same(seen, ['stop', 'onClose', 'exit'])
})

test('two apps on one engine: closing one leaves the other serving, closing both exits', async t => {
  const bus = new Engine({ drain: DRAIN })
  const first = await appWith(t, { engine: bus, drain: undefined })
  const second = await appWith(t, { engine: bus, drain: undefined })
  await bus.start()
  const [firstUrl, secondUrl] = bus.server.urls as [string, string]
  await first.close()
  await t.rejects(fetch(firstUrl))
  t.equal(await (await fetch(secondUrl)).text(), 'hello')
  t.equal(bus.state, 'STARTED')
  await second.close()
  t.equal(bus.state, 'EXITED')
})

test('a plugin of the app that fails ends the start with its own error', async t => {
  const app = await appWith(t)
  app.register(async () => { throw new Error('no database') })
  await t.rejects(app.listen({ port: 0 }), { message: /no database/ })
})

test('bad options and bad places are refused with a code and the key named', async t => {
  const register = async (options: object): Promise<void> => { await Fastify().register(engine, options) }
  await t.rejects(register({ prot: 80 }), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', exitCode: 78, message: 'engine: unknown option "prot", did you mean "port"?' })
  await t.rejects(register({ port: '80' }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', message: /"port" must be a whole number of TCP ports from 0 to 65535, got "80"/ })
  await t.rejects(register({ host: [] }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID' })
  await t.rejects(register({ drain: { idleWidow: 5 } }), { message: /unknown option "drain\.idleWidow", did you mean "idleWindow"/ })
  await t.rejects(register({ engine: new Engine(), drain: {} }), { code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED' })
  await t.rejects(register({ signals: { SIGTREM: 'exit' } }), { code: 'FST_KEEP_ENGINE_SIGNAL_UNKNOWN', message: /no signal "SIGTREM", did you mean "SIGTERM"/ })
  await t.rejects(register({ signals: { SIGKILL: 'exit' } }), { message: /SIGKILL cannot be caught/ })

  const twice = Fastify()
  await twice.register(engine)
  await t.rejects(async () => { await twice.register(engine) }, { code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED' })
  const inside = Fastify()
  inside.register(async scope => { await scope.register(engine) })
  await t.rejects(async () => { await inside.ready() }, { code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED', message: /at the root/ })
})

test('signal handlers are there from the start of the bus until its exit, and others are left alone', async t => {
  const other = (): void => {}
  process.on('SIGTERM', other)
  t.teardown(() => process.off('SIGTERM', other))
  const before = process.listenerCount('SIGTERM')
  const app = Fastify()
  await app.register(engine, { drain: DRAIN })
  t.equal(process.listenerCount('SIGTERM'), before)
  await app.listen({ port: 0 })
  t.equal(process.listenerCount('SIGTERM'), before + 1)
  await app.close()
  t.equal(process.listenerCount('SIGTERM'), before)
  t.ok(process.listeners('SIGTERM').includes(other))
})
