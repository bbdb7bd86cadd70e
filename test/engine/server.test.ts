import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { test } from 'tap'
import engine, { Engine, type EnginePluginOptions } from '@fastkeep/engine'
import { appWith, DRAIN, portOf } from './app-with.js'

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

test('startWithCallback starts the bus, and only then calls the function, whose outcome is its own', async t => {
  const app = await appWith(t)
  const state = await app.engine.startWithCallback(async () => {
    t.equal((await fetch(app.engine.server.urls[0] as string)).status, 200)
    return app.engine.state
  })
  t.equal(state, 'STARTED')
  await t.rejects(app.engine.startWithCallback(() => { throw new Error('of the function') }), { message: 'of the function' })
  t.equal(app.engine.state, 'STARTED', 'the bus has started all the same')

  const broken = new Engine()
  broken.subscribe('start', () => { throw new Error('of the start') })
  await t.rejects(broken.startWithCallback(() => t.fail('it is not called')), { cause: { message: 'of the start' } })
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
  await t.rejects(register({ port: '80' }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', message: /"port" must be a whole number from 0 to 65535 \(TCP ports\), got "80"/ })
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

test('close in the same turn as listen leaves nothing listening', async t => {
  const app = await appWith(t)
  const listened = app.listen({ port: 0 })
  await Promise.all([t.rejects(listened, { code: 'FST_KEEP_ENGINE_START_CANCELLED' }), app.close()])
  t.equal(app.server.listening, false)
  t.equal(app.engine.state, 'EXITED')
})

test('an app whose port was taken can listen on another one', async t => {
  const taken = await appWith(t)
  await taken.listen({ port: 0 })
  const app = await appWith(t)
  await t.rejects(app.listen({ port: portOf(taken) }), { message: /already/, exitCode: 71 })
  t.equal(await (await fetch(await app.listen({ port: 0 }))).text(), 'hello')
})

test('an app that was stopped cannot start again; what makes one can', async t => {
  const app = await appWith(t)
  await app.engine.start()
  await app.engine.stop()
  await t.rejects(app.engine.start(), { exitCode: 78, message: /the app was closed, and Fastify cannot open it again/ })

  const bus = new Engine({ drain: DRAIN })
  bus.server.add(() => Fastify().get('/', async () => 'made'))
  for (let time = 0; time < 2; time++) {
    await bus.start()
    t.equal(await (await fetch(bus.server.urls[0] as string)).text(), 'made')
    await bus.stop()
  }
})

test('an app cannot join an engine that has started', async t => {
  const bus = new Engine({ drain: DRAIN })
  const app = await appWith(t, { engine: bus, drain: undefined })
  await app.listen({ port: 0 })
  await t.rejects(async () => { await Fastify().register(engine, { engine: bus }) }, { code: 'FST_KEEP_ENGINE_APP_REFUSED' })
})

test('a registration that nobody awaited works through Fastify\'s own listen', async t => {
  const app = Fastify()
  app.register(engine, { signals: false, drain: DRAIN })
  app.get('/', async () => 'hello')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.equal(await (await fetch(url)).text(), 'hello')
  t.equal(app.engine.state, 'STARTED')
  await app.close()
  t.equal(app.engine.state, 'EXITED')

  const other = Fastify()
  other.register(engine, { signals: false, drain: DRAIN })
  const taken = await appWith(t)
  await taken.listen({ port: 0 })
  await t.rejects(other.listen({ port: portOf(taken), host: '127.0.0.1' }), { code: /EADDRINUSE|FST_KEEP/ })
  await other.close()
})

test('listen options that are wrong, unknown or contradict each other are refused', async t => {
  for (const [options, message] of [
    [{ port: 70_000 }, /"port" must be/], [{ port: -1 }, /"port" must be/], [{ port: 'abc' }, /"port" must be/],
    [{ host: '' }, /"host" must be/], [{ exclusive: true }, /unknown option "exclusive"/], [{ path: '/x', port: 1 }, /contradict/],
  ] as const) {
    const app = await appWith(t)
    await t.rejects(app.listen(options as never), { message }, JSON.stringify(options))
  }
})

test('an option that is undefined counts as not given', async t => {
  const app = Fastify()
  await app.register(engine, { signals: false, drain: { deadline: undefined, idleWindow: undefined }, host: '::1' } as EnginePluginOptions)
  t.teardown(() => app.close())
  app.get('/', async () => { await delay(100); return 'hello' })
  const url = await app.listen({ port: 0, host: undefined } as never)
  t.match(url, '[::1]')
  const answer = fetch(url)
  await once(app.server, 'request')
  const closed = app.close()
  t.equal(await (await answer).text(), 'hello')
  app.engine.server.hurry()
  await closed
})

test('a second listen is refused', async t => {
  const app = await appWith(t)
  await app.listen({ port: 0 })
  await t.rejects(app.listen({ port: 0 }), { code: 'FST_KEEP_ENGINE_ILLEGAL_TRANSITION', message: 'cannot listen: the bus is STARTED' })
})

test('every app is closed even if one cannot be', async t => {
  const bus = new Engine({ drain: DRAIN })
  const closed: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const app = await appWith(t, { engine: bus, drain: undefined })
    app.addHook('onClose', async () => {
      closed.push(name)
      if (name === 'b') throw new Error('stuck')
    })
  }
  await bus.start()
  await t.rejects(bus.exit(), { message: /"stop" failed in app\.close\(\): stuck/ })
  t.same(closed.sort(), ['a', 'b', 'c'])
})

test('exit closes an app that was ready and never served', async t => {
  const app = await appWith(t)
  let closed = false
  app.addHook('onClose', async () => { closed = true })
  await app.ready()
  await app.engine.exit()
  t.equal(closed, true)
})

test('a stop listener may close its app', async t => {
  const app = await appWith(t)
  app.engine.subscribe('stop', () => app.close())
  await app.listen({ port: 0 })
  await app.engine.exit()
  t.equal(app.server.listening, false)
})

test('signals that are wrong are refused', async t => {
  for (const [signals, message] of [
    [{ SIGTERM: 'exti' }, /what SIGTERM does must be a function or one of exit, .*did you mean "exit"/],
    [{ SIGTERM: 5 }, /what SIGTERM does must be/], [[], /"signals" must be/],
  ] as const) {
    await t.rejects(async () => { await Fastify().register(engine, { signals } as never) }, { message })
  }
})

test('the server is bound last among what may need root: just before 75 nothing is, just after it is', async t => {
  const app = await appWith(t)
  const seen: number[] = []
  for (const priority of [74, 76]) app.engine.subscribe('start', () => { seen.push(app.engine.server.urls.length) }, { priority })
  await app.listen({ port: 0 })
  t.same(seen, [0, 1])
})
