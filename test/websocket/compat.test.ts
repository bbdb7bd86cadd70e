import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { test, type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import { WebSocket, type ClientOptions } from 'ws'
import websocket, { fastifyWebsocket, type WebsocketPluginOptions } from '@fastkeep/websocket/compat'
import { Child, plainEnvironment } from '../child.js'
import { closing, deferred, refusal } from './server-under-test.js'

async function served (t: Test, options: WebsocketPluginOptions, build: (app: FastifyInstance) => void): Promise<{ app: FastifyInstance, port: number, connect: (path?: string, options?: ClientOptions) => WebSocket }> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, options)
  build(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    port,
    connect: (path = '/', client) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, client)
      t.teardown(() => socket.terminate())
      return socket
    },
  }
}

test('it is the function that require() gives, by each name that @fastify/websocket has', t => {
  const required = createRequire(import.meta.url)('@fastkeep/websocket/compat')
  t.type(required, 'function')
  t.equal(required.default, required)
  t.equal(required.fastifyWebsocket, required)
  t.equal(fastifyWebsocket, websocket)
  t.end()
})

test('a plugin that depends on @fastify/websocket by name finds it', async t => {
  const app = Fastify()
  await app.register(websocket)
  t.ok(app.hasPlugin('@fastify/websocket'))
  t.ok(app.hasDecorator('injectWS') && app.hasDecorator('websocketServer') && app.hasRequestDecorator('ws'))
  await app.close()
})

test('without guards any page and any client gets in, a message may have 100 MiB, and pages elsewhere are opened and closed', async t => {
  const { connect } = await served(t, {}, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(String((data as Buffer).length))) })
    app.get('/page', async () => 'a page')
  })
  const socket = connect('/', { origin: 'https://elsewhere.example' })
  await once(socket, 'open')
  socket.send(Buffer.alloc(5_000_000))
  t.equal(String((await once(socket, 'message'))[0]), '5000000')
  t.match(await closing(connect('/page')), { code: 1005 })
})

test('guards.origin refuses other pages, and leaves all else as it was', async t => {
  const { port, connect } = await served(t, { guards: { origin: 'same-origin' } }, app => {
    app.get('/', { websocket: true }, () => { throw new Error('as before') })
  })
  t.match(await refusal(port, '/', { Origin: 'https://elsewhere.example' }), { status: 403 })
  t.match(await refusal(port, '/'), { status: 403 })
  t.match(await closing(connect('/', { origin: `http://127.0.0.1:${port}` })), { code: 1006 })
})

test('guards.errors closes with 1011 what failed, a listener too', async t => {
  const { connect } = await served(t, { guards: { errors: true } }, app => {
    app.get('/handler', { websocket: true }, async () => { throw new Error('fails') })
    app.get('/listener', { websocket: true }, socket => { socket.on('message', () => { throw new Error('fails') }) })
  })
  t.match(await closing(connect('/handler')), { code: 1011 })
  const socket = connect('/listener')
  await once(socket, 'open')
  socket.send('x')
  t.match(await closing(socket), { code: 1011 })
})

test('guards.earlyMessages keeps what comes before the first listener', async t => {
  const ready = deferred<void>()
  const { connect } = await served(t, { guards: { earlyMessages: true } }, app => {
    app.get('/', { websocket: true }, async socket => {
      await ready.promise
      socket.on('message', data => socket.send(`heard ${String(data)}`))
    })
  })
  const socket = connect()
  await once(socket, 'open')
  socket.send('early')
  socket.ping()
  await once(socket, 'pong')
  const heard = once(socket, 'message')
  ready.resolve()
  t.equal(String((await heard)[0]), 'heard early')
})

test('guards.drain tells the sockets why, guards.otherRoutes refuses an upgrade elsewhere', async t => {
  const { app, port, connect } = await served(t, { guards: { drain: true, otherRoutes: true } }, app => {
    app.get('/', { websocket: true }, () => {})
    app.get('/page', async () => 'a page')
  })
  t.match(await refusal(port, '/page'), { status: 404 })
  const socket = connect()
  await once(socket, 'open')
  const closed = closing(socket)
  await app.close()
  t.match(await closed, { code: 1001, reason: 'server is shutting down' })
})

test('topics and messages are there without any guard', async t => {
  const { app, connect } = await served(t, {}, app => {
    app.get('/', { websocket: { messages: { say: { handler: data => ({ said: data }) } } } }, socket => { socket.subscribe('news') })
  })
  const socket = connect()
  await once(socket, 'open')
  socket.send('{"type":"say","id":1,"data":"hello"}')
  t.same(JSON.parse(String((await once(socket, 'message'))[0])), { type: 'keep.reply', id: 1, data: { said: 'hello' } })
  t.equal(app.websocket.publish('news', 'x'), 1)
})

test('signing is there without any guard, and gives a client time for its proof', async t => {
  const { connect } = await served(t, {}, app => {
    app.get('/', { websocket: { signing: { keys: [{ id: 'one', secret: 'a secret of the first key, 32 bytes at least' }] } } }, () => {})
  })
  const socket = connect()
  const hello = once(socket, 'message')
  await once(socket, 'open')
  t.match(String((await hello)[0]), /"type":"keep.hello"/)
  const until = performance.now() + 50
  while (performance.now() < until) {
    socket.ping()
    await once(socket, 'pong')
  }
  t.equal(socket.readyState, WebSocket.OPEN)
})

test('a misspelt guard is refused at boot, and so are options that exclude each other', async t => {
  const refused: Array<[WebsocketPluginOptions, string, RegExp]> = [
    [{ guards: { orign: 'same-origin' } as object }, 'FST_KEEP_WEBSOCKET_OPTION_UNKNOWN', /"orign", did you mean "origin"/],
    [{ guards: { errors: 1 as unknown as boolean } }, 'FST_KEEP_WEBSOCKET_OPTION_INVALID', /guards\.errors/],
    [{ guards: { errors: true }, errorHandler: () => {} }, 'FST_KEEP_WEBSOCKET_OPTION_INVALID', /"errorHandler"/],
    [{ guards: { drain: true }, preClose: done => done() }, 'FST_KEEP_WEBSOCKET_OPTION_INVALID', /"preClose"/],
    [{ guards: { pingInterval: 1000 }, options: { clientTracking: false } }, 'FST_KEEP_WEBSOCKET_OPTION_INVALID', /clientTracking/],
    [{ guards: { protocols: ['a'] }, options: { handleProtocols: () => 'a' } }, 'FST_KEEP_WEBSOCKET_OPTION_INVALID', /handleProtocols/],
  ]
  for (const [options, code, message] of refused) {
    const app = Fastify()
    app.register(websocket, options)
    await t.rejects(async () => await app.ready(), { code, message })
    await app.close()
  }
})

test('code that was typed for @fastify/websocket compiles against it', { timeout: 60_000 }, async t => {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const file = fileURLToPath(new URL('fixtures/drop-in.mts', import.meta.url))
  const child = new Child(t, process.execPath, [compiler, '--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--skipLibCheck', file], { env: plainEnvironment() })
  const { code } = await child.ended
  t.equal(code, 0, child.output)
})
