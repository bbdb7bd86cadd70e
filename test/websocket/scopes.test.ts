import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'tap'
import Fastify from 'fastify'
import { WebSocket } from 'ws'
import websocket from '@fastkeep/websocket'
import { closing, nextText, open, refusal, serve } from './server-under-test.js'

test('a registration in a scope below changes the options of the routes there, and of no others', async t => {
  const server = await serve(t, { maxPayload: 1000, authenticate: request => request.headers['x-user'] }, async app => {
    app.get('/', { websocket: true }, () => {})
    await app.register(async scope => {
      await scope.register(websocket, { maxPayload: 10, authenticate: false as never })
      scope.get('/inner', { websocket: true }, () => {})
      await scope.register(async below => { below.get('/below', { websocket: { maxPayload: 20 } }, () => {}) })
    })
  })
  const { describe } = server.app.websocket
  t.same(['/', '/inner', '/below'].map(url => [describe(`GET ${url}`).maxPayload, describe(`GET ${url}`).authenticates]), [[1000, true], [10, false], [20, false]])
  const client = await open(t, server, '/inner')
  client.send('x'.repeat(11))
  t.match(await closing(client), { code: 1009 })
})

test('a second registration in the same scope, or one with options of the whole plugin, stops the boot', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket)
  await t.rejects(async () => await app.register(websocket), { code: 'FST_KEEP_WEBSOCKET_REGISTERED_TWICE' })
  const other = Fastify()
  t.teardown(() => other.close().catch(() => {}))
  await other.register(websocket)
  await t.rejects(async () => await other.register(async scope => { await scope.register(websocket, { pingInterval: 1 }) }), { message: /unknown option "pingInterval"/ })
})

test('describe() tells what is in force on a route, and none of its secrets', async t => {
  const server = await serve(t, { signing: { keys: [{ id: 'k1', secret: 's'.repeat(32) }] } }, app => {
    app.get('/', { websocket: { messages: { say: { handler: () => {} } }, topics: { authorize: () => true }, protocols: ['chat'], origin: () => true } }, () => {})
  })
  const description = server.app.websocket.describe('GET /')
  t.match(description, {
    origin: 'a function',
    authenticates: false,
    requireTls: false,
    protocols: ['chat'],
    signing: ['k1'],
    topics: 100,
    messages: ['keep.ping', 'keep.subscribe', 'keep.unsubscribe', 'say'],
    maxPayload: 65_536,
    maxMessagesPerSecond: 100,
    idleTimeout: 3_600_000,
    pingInterval: 30_000,
  })
  t.notMatch(JSON.stringify(description), 'ssss')
  t.throws(() => server.app.websocket.describe('GET /other'), { code: 'FST_KEEP_WEBSOCKET_ROUTE_UNKNOWN', message: /there are: GET \// })
})

test('statistics() counts by route what was opened, refused, closed and came, and what waits', async t => {
  const server = await serve(t, { maxPayload: 100 }, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', () => {}) })
    app.get('/unused', { websocket: true }, () => {})
  })
  await refusal(server.port, '/', { Origin: 'https://evil.example' })
  const [done, tooLarge, paused] = await Promise.all([open(t, server, '/'), open(t, server, '/'), open(t, server, '/')])
  const ends = Promise.all([closing(done as WebSocket), closing(tooLarge as WebSocket)])
  done?.send('hello')
  done?.close(1000)
  tooLarge?.send('x'.repeat(101))
  await ends
  while (server.app.websocketServer.clients.size > 1) await new Promise(setImmediate)
  paused?.pause()
  for (const socket of server.app.websocketServer.clients) socket.send(Buffer.alloc(8_000_000), () => {})
  const statistics = server.app.websocket.statistics()
  t.match(statistics['GET /'], {
    open: 1,
    opened: 3,
    received: 1,
    refused: { FST_KEEP_WEBSOCKET_ORIGIN_REFUSED: 1 },
    closed: { 1000: 1, 1006: 1 },
    closedBecause: { FST_KEEP_WEBSOCKET_FRAME_REFUSED: 1 },
    pending: 0,
  })
  t.ok((statistics['GET /']?.bufferedBytes ?? 0) > 0)
  t.equal(statistics['GET /']?.mostBufferedBytes, statistics['GET /']?.bufferedBytes)
  t.match(statistics['GET /unused'], { open: 0, opened: 0 })
})

test('openings, closings and refusals are published on diagnostics_channel with route and code', async t => {
  const events: unknown[] = []
  for (const name of ['opened', 'closing', 'closed', 'refused']) {
    const listener = (details: unknown) => events.push([name, (details as { code: string }).code, (details as { route?: string }).route])
    subscribe(`fastkeep:websocket:${name}`, listener)
    t.teardown(() => unsubscribe(`fastkeep:websocket:${name}`, listener))
  }
  const server = await serve(t, {}, app => { app.get('/', { websocket: true }, () => { throw new Error('no') }) })
  await refusal(server.port, '/', { Origin: 'https://evil.example' })
  await closing(new WebSocket(`ws://${server.host}/`, { origin: server.origin }))
  while (events.length < 4) await new Promise(setImmediate)
  t.same(events, [
    ['refused', 'FST_KEEP_WEBSOCKET_ORIGIN_REFUSED', 'GET /'], ['opened', 'FST_KEEP_WEBSOCKET_OPENED', 'GET /'],
    ['closing', 'FST_KEEP_WEBSOCKET_HANDLER_FAILED', 'GET /'], ['closed', 'FST_KEEP_WEBSOCKET_CLOSED', 'GET /'],
  ])
})

test('exactly one subprotocol is echoed: the first of the route\'s own that the client offers', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: { protocols: ['v2', 'v1'] } }, socket => { socket.send(socket.protocol) })
    app.get('/any', { websocket: true }, socket => { socket.send(socket.protocol) })
  })
  const offered = async (path: string, ...protocols: string[]) => {
    const client = new WebSocket(`ws://${server.host}${path}`, protocols, { origin: server.origin })
    t.teardown(() => client.terminate())
    return await nextText(client).catch((error: Error) => error.message)
  }
  t.equal(await offered('/', 'v1', 'v2'), 'v2')
  t.equal(await offered('/', 'v0', 'v1'), 'v1')
  t.equal(await offered('/any', 'v0', 'v1'), 'v0')
  t.match(await offered('/', 'v0'), /Server sent no subprotocol/)
  for (const header of ['v1, v1', 'v1,,v2', 'v 1', 'v1,']) {
    t.match(await refusal(server.port, '/', { Origin: server.origin, 'Sec-WebSocket-Protocol': header }), { status: 400, body: /each subprotocol once/ }, header)
  }
})

test('requireTls refuses with 403 what came without', async t => {
  const server = await serve(t, { origin: () => true }, app => { app.get('/', { websocket: { requireTls: true } }, socket => { socket.send('safe') }) }, { trustProxy: true })
  const { status, body } = await refusal(server.port, '/', { Origin: server.origin })
  t.match({ status, body: JSON.parse(body) }, { status: 403, body: { code: 'FST_KEEP_WEBSOCKET_TLS_REQUIRED' } })
  const client = new WebSocket(`ws://${server.host}/`, { origin: server.origin, headers: { 'x-forwarded-proto': 'https' } })
  t.teardown(() => client.terminate())
  t.equal(await nextText(client), 'safe')
})
