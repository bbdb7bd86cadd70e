import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { connections, deferred, frame, open, received, refusal, sendHandshake, serve } from './server-under-test.js'

const NEVER = 600_000

/** A route whose visitors are authenticated for ever, and a promise of the first of them. */
function endless () {
  const asked = deferred<void>()
  const authenticate = () => {
    asked.resolve()
    return new Promise<string>(() => {})
  }
  return { asked: asked.promise, build: (app: FastifyInstance) => { app.get('/slow', { websocket: { authenticate } }, () => {}) } }
}

test('what Fastify answers before its hooks is the last answer of its connection', async t => {
  const server = await serve(t, { handshakeTimeout: NEVER }, app => { app.get('/room/:id', { websocket: true }, () => {}) })
  for (const [path, expected] of [['/%ff', 400], [`/room/${'x'.repeat(200)}`, 414]] as const) {
    const { status, headers } = await refusal(server.port, path, { Origin: server.origin })
    t.equal(status, expected)
    t.equal(headers.connection, 'close')
  }
  await connections(server.app, 0)
})

test('a refused upgrade whose body never comes holds no connection', async t => {
  const server = await serve(t, { handshakeTimeout: NEVER }, app => { app.post('/form', async () => 'a form') })
  for (const path of ['/%ff', '/form']) {
    const client = sendHandshake(server.port, path, { Origin: server.origin, 'Content-Length': '1000' }, 'POST')
    t.match(await received(client, /\r\n\r\n/), /^HTTP\/1.1 40[04] /)
    client.end()
  }
  await connections(server.app, 0)
})

test('a handshake that takes longer than handshakeTimeout is cut', async t => {
  const slow = endless()
  const server = await serve(t, { handshakeTimeout: 50 }, slow.build)
  const client = sendHandshake(server.port, '/slow', { Origin: server.origin })
  await once(client, 'close')
  await connections(server.app, 0)
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_HANDSHAKE_TIMEOUT'), [{ level: 40, handshakeTimeout: 50 }])
})

test('a client that leaves behind early frames, which hide its leaving, is held for handshakeTimeout only', async t => {
  const slow = endless()
  const server = await serve(t, { handshakeTimeout: 50 }, slow.build)
  const client = sendHandshake(server.port, '/slow', { Origin: server.origin })
  await slow.asked
  client.end(frame(1, 'early'))
  await connections(server.app, 0)
  t.pass('nothing is held')
})

test('a client that leaves while it is being authenticated is noticed at once', async t => {
  const slow = endless()
  const server = await serve(t, { handshakeTimeout: NEVER }, slow.build)
  const client = sendHandshake(server.port, '/slow', { Origin: server.origin })
  await slow.asked
  client.end()
  await connections(server.app, 0)
  t.same(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_HANDSHAKE_TIMEOUT'), [])
})

test('handshakeTimeout ends with the handshake', async t => {
  const slow = endless()
  const server = await serve(t, { handshakeTimeout: 100 }, app => {
    app.get('/', { websocket: true }, () => {})
    slow.build(app)
  })
  const client = await open(t, server, '/')
  const later = sendHandshake(server.port, '/slow', { Origin: server.origin })
  await once(later, 'close')
  client.ping()
  await once(client, 'pong')
  t.equal(server.app.websocketServer.clients.size, 1)
})

test('what is on its way to a client that has closed its half is not cut once the handshake is done', async t => {
  const bytes = 8 * 1024 * 1024
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', () => socket.send(Buffer.alloc(bytes))) })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  client.allowHalfOpen = true
  await received(client, /\r\n\r\n/)
  client.end(frame(1, 'all of it'))
  let count = 0
  client.on('data', chunk => { count += chunk.length })
  await once(client, 'end')
  t.ok(count >= bytes, `${count} bytes came`)
})
