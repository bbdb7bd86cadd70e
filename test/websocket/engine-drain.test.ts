import { once } from 'node:events'
import { test, type Test } from 'tap'
import engine from '@fastkeep/engine'
import Fastify, { type FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import websocket, { type WebSocketPluginOptions } from '@fastkeep/websocket'
import { closing } from './server-under-test.js'

interface Service { app: FastifyInstance, connect (): Promise<WebSocket> }

async function service (t: Test, drain: { deadline?: number, idleWindow?: number }, options: WebSocketPluginOptions = {}): Promise<Service> {
  const app = Fastify()
  await app.register(engine, { signals: false, host: '127.0.0.1', port: 0, drain: { idleWindow: 0, ...drain } })
  await app.register(websocket, { maxConnectionsPerAddress: 0, ...options })
  app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(data)) })
  await app.engine.start()
  t.teardown(() => app.engine.exit().catch(() => {}))
  const [origin = ''] = app.engine.server.urls
  return {
    app,
    async connect () {
      const client = new WebSocket(origin.replace('http', 'ws'), { origin: new URL(origin).origin })
      t.teardown(() => client.terminate())
      await once(client, 'open')
      return client
    },
  }
}

test('the engine drains sockets at the same time as requests, and neither waits for the other', async t => {
  const server = await service(t, { deadline: 60_000 }, { closeDeadline: 60_000 })
  const [polite, slow] = [await server.connect(), await server.connect()]
  const end = closing(polite)
  slow.pause()
  const exited = server.app.engine.exit()
  t.same(await end, { code: 1001, reason: 'server is shutting down' })
  t.equal(server.app.engine.state, 'STOPPING', 'one peer has not answered yet')
  slow.resume()
  await exited
})

test('peers that do not answer are cut at the engine\'s deadline, before closeDeadline', async t => {
  const server = await service(t, { deadline: 100 }, { closeDeadline: 60_000 })
  const client = await server.connect()
  client.pause()
  await server.app.engine.exit()
  t.equal(server.app.websocketServer.clients.size, 0)
})

test('a drain that is cut before its window is over tells everybody nevertheless', async t => {
  const server = await service(t, { deadline: 50 }, { drainWindow: 60_000, closeDeadline: 60_000 })
  const clients = await Promise.all(Array.from({ length: 100 }, () => server.connect()))
  const ends = Promise.all(clients.map(closing))
  await server.app.engine.exit()
  t.same(new Set((await ends).map(({ code }) => code)), new Set([1001]))
})

test('where a successor has taken over, sockets are closed with 1012', async t => {
  const server = await service(t, { deadline: 60_000 })
  const client = await server.connect()
  const end = closing(client)
  server.app.engine.server.handOver()
  await server.app.engine.exit()
  t.same(await end, { code: 1012, reason: 'server restarts' })
})

test('the status of the engine has the counts of all routes', async t => {
  const server = await service(t, { deadline: 60_000 })
  await server.connect()
  t.match(await server.app.engine.status(), { websockets: { 'GET /': { open: 1, opened: 1 } } })
})
