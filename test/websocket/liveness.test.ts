import { once } from 'node:events'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { test } from 'tap'
import type { GuardedWebSocket } from '@fastkeep/websocket'
import { deferred, open, received, sendHandshake, serve } from './server-under-test.js'

test('a peer that answers no ping is cut, one that does stays and has a latency', async t => {
  const sockets: GuardedWebSocket[] = []
  const server = await serve(t, { pingInterval: 40 }, app => { app.get('/', { websocket: true }, socket => { sockets.push(socket) }) })
  const alive = await open(t, server, '/')
  t.equal(sockets[0]?.latency, undefined, 'before the first answer')
  const dead = await open(t, server, '/', { autoPong: false })
  await once(dead, 'close')
  t.match(server.log.filter(({ code }) => code === 'FST_KEEP_WEBSOCKET_PEER_LOST'), [{ route: 'GET /' }])
  await once(alive, 'ping')
  await once(alive, 'ping')
  t.equal(alive.readyState, alive.OPEN)
  t.ok((sockets[0]?.latency ?? -1) >= 0, `latency ${sockets[0]?.latency}`)
})

test('a process that is held up for longer than the interval cuts nobody whose answer waits to be read', async t => {
  const server = await serve(t, { pingInterval: 40 }, app => { app.get('/', { websocket: true }, () => {}) })
  const client = new Worker(`
    const { parentPort, workerData: { url, origin, ws } } = require('node:worker_threads')
    const { WebSocket } = require(ws)
    let pings = 0
    new WebSocket(url, { origin }).on('ping', () => { if (++pings === 10) parentPort.postMessage('pinged') }).on('close', code => parentPort.postMessage(code))
  `, { eval: true, execArgv: [], workerData: { url: `ws://127.0.0.1:${server.port}/`, origin: server.origin, ws: createRequire(import.meta.url).resolve('ws') } })
  t.teardown(async () => await client.terminate())
  const held = new Int32Array(new SharedArrayBuffer(4))
  const answer = once(client, 'message')
  let isOver = false
  const holdUp = (): void => {
    Atomics.wait(held, 0, 0, 100)
    if (!isOver) setImmediate(holdUp)
  }
  holdUp()
  t.same(await answer, ['pinged'])
  isOver = true
})

test('whoever sends anything is alive, though its answer to the ping is late', async t => {
  const pinged = deferred<void>()
  const server = await serve(t, { pingInterval: 60, maxPayload: 1e6 }, app => { app.get('/', { websocket: true }, () => {}) })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  await received(client, /\r\n\r\n/)
  // A message of 60,000 bytes, of which a few come at a time: no pong can come between.
  client.write(Buffer.from([0x82, 0xfe, 0xea, 0x60, 0, 0, 0, 0]))
  const timer = setInterval(() => client.write('drop'), 10)
  t.teardown(() => clearInterval(timer))
  let pings = 0
  client.on('data', (bytes: Buffer) => {
    pings += [...bytes].filter(byte => byte === 0x89).length
    if (pings >= 4) pinged.resolve()
  })
  client.on('close', () => pinged.resolve())
  await pinged.promise
  t.ok(pings >= 4, `${pings} pings`)
})

test('pings are spread over the interval, and none is sent without one', async t => {
  const server = await serve(t, { pingInterval: 400 }, app => { app.get('/', { websocket: true }, () => {}) })
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(t, server, '/')))
  const times = await Promise.all(clients.map(async client => {
    await once(client, 'ping')
    return performance.now()
  }))
  const spread = Math.max(...times) - Math.min(...times)
  t.ok(new Set(times.map(time => Math.round(time / 50))).size >= 3, `first pings within ${spread} ms of each other`)

  const quiet = await serve(t, { pingInterval: 0, lifetime: 300 }, app => { app.get('/', { websocket: true }, () => {}) })
  const client = await open(t, quiet, '/')
  client.on('ping', () => t.fail('a ping'))
  await once(client, 'close')
})

test('the client of injectWS answers pings', async t => {
  const server = await serve(t, { pingInterval: 20, authenticate: () => 'a test' }, app => { app.get('/', { websocket: true }, () => {}) })
  let inited = false
  const client = await server.app.injectWS('/', {}, { onInit: () => { inited = true } })
  for (let pings = 0; pings < 3; pings++) await once(client, 'ping')
  t.ok(inited)
  t.same([...server.app.websocketServer.clients].map(socket => (socket as GuardedWebSocket).peer), ['a test'], 'and is on the terms of its route')
  t.equal(client.readyState, client.OPEN)
  client.terminate()
})
