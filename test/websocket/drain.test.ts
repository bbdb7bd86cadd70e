import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import websocket, { type DrainingEngine } from '@fastkeep/websocket'
import { closing, deferred, nextText, open, received, refusal, sendHandshake, serve } from './server-under-test.js'

const silent = (app: FastifyInstance) => { app.get('/', { websocket: true }, () => {}) }

test('app.close() closes every socket with 1001 and its reason, and waits for the peers', async t => {
  const server = await serve(t, { closeDeadline: 60_000 }, silent)
  const clients = await Promise.all([open(t, server, '/'), open(t, server, '/')])
  const ends = Promise.all(clients.map(closing))
  await server.app.close()
  const end = { code: 1001, reason: 'server is shutting down' }
  t.same(await ends, [end, end])
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED'), [{ sockets: 2, terminated: 0 }])
})

test('app.close() cuts peers that do not answer after closeDeadline', async t => {
  const server = await serve(t, { closeDeadline: 50 }, silent)
  for (let count = 0; count < 20; count++) {
    const client = sendHandshake(server.port, '/', { Origin: server.origin })
    client.on('error', () => {})
    t.teardown(() => client.destroy())
    await received(client, /\r\n\r\n/)
    client.pause()
  }
  const start = performance.now()
  await server.app.close()
  const took = performance.now() - start
  t.ok(took >= 49 && took < 1_050, `took ${took} ms`)
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED'), [{ level: 40, sockets: 20, terminated: 20 }])
})

test('many sockets are told one after the other within drainWindow, a few at once', async t => {
  const server = await serve(t, { drainWindow: 300, closeDeadline: 60_000 }, silent)
  const clients = await Promise.all(Array.from({ length: 100 }, () => open(t, server, '/')))
  const ends = Promise.all(clients.map(async client => {
    await closing(client)
    return performance.now()
  }))
  await server.app.close()
  const times = (await ends).toSorted((a, b) => a - b)
  t.ok((times[99] as number) - (times[0] as number) >= 200, `within ${(times[99] as number) - (times[0] as number)} ms`)
  t.ok(new Set(times.map(time => Math.round(time / 20))).size >= 6, 'not all in two or three bursts')
})

test('app.close() with 1,000 silent peers ends within drainWindow, closeDeadline and 1 s', async t => {
  const options = { drainWindow: 500, closeDeadline: 500, maxConnectionsPerAddress: 0 }
  const server = await serve(t, options, silent, { logger: false })
  const clients = await Promise.all(Array.from({ length: 1000 }, () => open(t, server, '/')))
  for (const client of clients) client.pause()
  const start = performance.now()
  await server.app.close()
  const took = performance.now() - start
  t.ok(took < 2000, `took ${took} ms`)
})

test('the last words of a handler arrive before the close', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: true }, socket => { socket.subscribe('all') }) })
  const client = await open(t, server, '/')
  const last = nextText(client)
  server.app.websocket.publish('all', 'good bye')
  await Promise.all([server.app.close(), closing(client)])
  t.equal(await last, 'good bye')
})

test('a drain before app.close() refuses new sockets with 503 through Fastify and goes on serving HTTP', async t => {
  const server = await serve(t, { closeDeadline: 60_000 }, app => {
    silent(app)
    app.addHook('onRequest', async (_request, reply) => { reply.header('x-content-type-options', 'nosniff') })
    app.get('/page', async () => 'a page')
  })
  const client = await open(t, server, '/')
  const end = closing(client)
  await Promise.all([server.app.websocket.drain(), end])
  t.match(await end, { code: 1001 })
  const { status, headers, body } = await refusal(server.port, '/', { Origin: server.origin })
  t.equal(status, 503)
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.equal(headers['retry-after'], '2')
  t.equal(JSON.parse(body).code, 'FST_KEEP_WEBSOCKET_SHUTTING_DOWN')
  t.equal(await (await fetch(`${server.origin}/page`)).text(), 'a page')
  await server.app.close()
})

test('the drain runs once: a later call joins it, and so does app.close()', async t => {
  const server = await serve(t, {}, silent)
  await open(t, server, '/')
  await Promise.all([server.app.websocket.drain(), server.app.websocket.drain()])
  await server.app.websocket.drain()
  await server.app.close()
  t.equal(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED').length, 1)
})

test('a drain without sockets ends at once', async t => {
  const server = await serve(t, { closeDeadline: 60_000 }, silent)
  await server.app.websocket.drain()
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED'), [{ sockets: 0, terminated: 0 }])
})

for (const when of ['before', 'during', 'in a second call'] as const) {
  test(`a signal that aborts ${when} cuts at once`, async t => {
    const server = await serve(t, { closeDeadline: 60_000 }, silent)
    const client = await open(t, server, '/')
    client.pause()
    const controller = new AbortController()
    if (when === 'before') controller.abort()
    const calls = when === 'in a second call' ? [undefined, controller.signal] : [controller.signal]
    const drained = Promise.all(calls.map(signal => server.app.websocket.drain(signal)))
    controller.abort()
    await drained
    t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED'), [{ terminated: 1 }])
  })
}

test('a handshake under way when app.close() begins is cut after closeDeadline', async t => {
  const asked = deferred<void>()
  const server = await serve(t, { closeDeadline: 50, authenticate: () => { asked.resolve(); return new Promise(() => {}) } }, silent)
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  const gone = once(client, 'close')
  client.on('error', () => {})
  await asked.promise
  await server.app.close()
  await gone
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_DRAINED'), [{ sockets: 0, terminated: 1 }])
})

test('a handshake that is authenticated only after the drain began is answered 503', async t => {
  const asked = deferred<void>()
  const answer = deferred<string>()
  let calls = 0
  const server = await serve(t, { closeDeadline: 60_000, authenticate: () => { asked.resolve(); return answer.promise } }, app => {
    app.get('/', { websocket: true }, () => { calls++ })
  })
  const refused = refusal(server.port, '/', { Origin: server.origin })
  await asked.promise
  const drained = server.app.websocket.drain()
  answer.resolve('ada')
  t.equal((await refused).status, 503)
  await drained
  t.equal(calls, 0)
})

test('an upgrade that comes while app.close() waits is answered 503 and its connection ended', async t => {
  const server = await serve(t, { closeDeadline: 60_000 }, silent)
  // This peer keeps app.close() waiting until the test lets it answer.
  const client = await open(t, server, '/')
  client.pause()
  const closed = server.app.close()
  const { status, headers, body } = await refusal(server.port, '/', { Origin: server.origin })
  t.match({ status, headers }, { status: 503, headers: { connection: 'close', 'retry-after': '2' } })
  t.match(JSON.parse(body), { statusCode: 503, code: 'FST_KEEP_WEBSOCKET_SHUTTING_DOWN' })
  client.resume()
  await closed
})

test('an upgrade that Fastify answered 503 past all hooks does not hold app.close()', async t => {
  const begun = deferred<void>()
  const proceed = deferred<void>()
  const server = await serve(t, { closeDeadline: 50 }, silent, {}, app => {
    app.addHook('preClose', async () => {
      begun.resolve()
      await proceed.promise
    })
  })
  const closed = server.app.close()
  await begun.promise
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  client.allowHalfOpen = true
  client.on('error', () => {})
  t.match(await received(client, /\r\n\r\n/), /^HTTP\/1.1 503 /)
  const gone = once(client, 'end')
  proceed.resolve()
  await Promise.all([closed, gone])
  client.destroy()
})

test('an engine that drains its server is given the drain', async t => {
  const given: Array<(signal?: AbortSignal) => Promise<void>> = []
  const app = Fastify()
  t.teardown(() => app.close())
  const engine: DrainingEngine = { server: { onDrain: drain => given.push(drain) } }
  app.decorate('engine' as string, engine)
  await app.register(websocket)
  app.get('/', { websocket: true }, () => {})
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const client = new WebSocket(origin.replace('http', 'ws'), { origin })
  await once(client, 'open')
  t.equal(given.length, 1)
  const end = closing(client)
  await given[0]?.(new AbortController().signal)
  t.match(await end, { code: 1001 })
})

test('an engine without a server, or of another kind, is left alone', async t => {
  for (const engine of [{}, { server: {} }] as DrainingEngine[]) {
    const app = Fastify()
    app.decorate('engine' as string, engine)
    await app.register(websocket)
    await app.ready()
    await app.close()
  }
  t.pass('all came up and went down')
})
