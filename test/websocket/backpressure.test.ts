import { once } from 'node:events'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { closing, deferred, open, serve } from './server-under-test.js'

test('a peer that does not read what a handler sends it is closed with 1013, and the send is told', async t => {
  const errors: Error[] = []
  let most = 0
  const server = await serve(t, { maxPayload: 1024 * 1024, maxBufferedBytes: 65_536, maxBytesPerSecond: 0, closeDeadline: 60_000 }, app => {
    app.get('/', { websocket: true }, socket => {
      socket.on('message', data => {
        socket.send(data, error => { if (error != null) errors.push(error) })
        if (socket.readyState === socket.OPEN) most = Math.max(most, socket.bufferedAmount)
      })
    })
  })
  const client = await open(t, server, '/')
  client.pause()
  const message = 'x'.repeat(1024 * 1024)
  while (errors.length === 0) await new Promise(resolve => client.send(message, resolve))
  t.match(errors[0], { message: /not open/ })
  t.ok(most <= 65_536 + message.length + 16, `at most the mark and one message wait, was ${most}`)
  const end = closing(client)
  client.resume()
  t.same(await end, { code: 1013, reason: 'too slow' })
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_SLOW_READER'), [{ closeCode: 1013 }])
})

test('a peer that pings and does not read gets no more pongs than may wait for it', async t => {
  const server = await serve(t, { maxBufferedBytes: 64 * 1024, maxMessagesPerSecond: 0, maxBytesPerSecond: 0 }, app => {
    app.get('/', { websocket: true }, socket => { socket.send('x'.repeat(16 * 1024 * 1024)) })
  })
  const client = new WebSocket(`ws://${server.host}/`, { origin: server.origin })
  t.teardown(() => client.terminate())
  const [socket] = await once(server.app.websocketServer, 'connection') as [WebSocket]
  await once(client, 'open')
  client.pause()
  const all = deferred<void>()
  let pings = 0
  socket.on('ping', () => { if (++pings === 1_000) all.resolve() })
  const before = socket.bufferedAmount
  for (let n = 0; n < 1_000; n++) client.ping('p'.repeat(100))
  await all.promise
  t.ok(socket.bufferedAmount <= before, `${socket.bufferedAmount} bytes wait, ${before} before`)
  t.equal(socket.readyState, WebSocket.OPEN)
})
