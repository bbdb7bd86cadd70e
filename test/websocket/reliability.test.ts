import { test } from 'tap'
import { open, serve } from './server-under-test.js'

test('1,000 sockets with heartbeats are held for 10 s, and none is lost', async t => {
  const server = await serve(t, { pingInterval: 1_000, maxConnectionsPerAddress: 0 }, app => { app.get('/', { websocket: true }, () => {}) }, { logger: false })
  let pings = 0
  let lost = 0
  for (let count = 0; count < 1_000; count += 50) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open(t, server, '/')))
    for (const client of clients) client.on('ping', () => pings++).on('close', () => lost++)
  }
  await new Promise(resolve => setTimeout(resolve, 10_000))
  t.equal(lost, 0)
  t.equal(server.app.websocketServer.clients.size, 1_000)
  t.ok(pings >= 5_000, `${pings} pings`)
  t.equal(server.app.websocket.statistics()['GET /']?.open, 1_000)
})
