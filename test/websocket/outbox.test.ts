import type { Duplex } from 'node:stream'
import { test, type Test } from 'tap'
import type { WebSocket } from 'ws'
import type { GuardedWebSocket, WebSocketPluginOptions } from '@fastkeep/websocket'
import { closing, open, serve, type ServerUnderTest } from './server-under-test.js'

interface Pair {
  server: ServerUnderTest
  /** The server's end, subscribed to `news`. */
  socket: GuardedWebSocket
  client: WebSocket
  /** What the client has got. */
  received: string[]
}

async function pair (t: Test, options: WebSocketPluginOptions = {}, { compress = false } = {}): Promise<Pair> {
  const sockets: GuardedWebSocket[] = []
  const server = await serve(t, options, app => {
    if (compress) app.websocketServer.options.perMessageDeflate = { threshold: 0 }
    app.get('/', { websocket: true }, socket => {
      sockets.push(socket)
      socket.subscribe('news')
    })
  })
  const client = await open(t, server, '/', { perMessageDeflate: compress })
  return { server, socket: sockets[0] as GuardedWebSocket, client, received: receivedBy(client) }
}

function receivedBy (client: WebSocket): string[] {
  const texts: string[] = []
  client.on('message', data => texts.push(String(data)))
  return texts
}

/** Resolves when the client has got this message. */
function until (client: WebSocket, text: string): Promise<void> {
  return new Promise(resolve => {
    client.on('message', data => { if (String(data) === text) resolve() })
  })
}

const turn = () => new Promise(resolve => setImmediate(resolve))

/** What is written to the stream under a socket from now on. */
function writesOf (socket: GuardedWebSocket): Buffer[] {
  const stream = (socket as unknown as { _socket: Duplex })._socket
  const writes: Buffer[] = []
  const write = stream.write
  stream.write = (...args: unknown[]): boolean => {
    writes.push(args[0] as Buffer)
    return Reflect.apply(write, stream, args) as boolean
  }
  return writes
}

/** Publishes to a client that does not read, until the system takes no more. */
async function fill ({ server, socket, client }: Pair): Promise<void> {
  client.pause()
  do {
    server.app.websocket.publish('news', 'x'.repeat(60_000))
    await turn()
  } while (socket.bufferedAmount < 64 * 1024)
}

test('what is published within one turn of the event loop is written to each socket at once, the same bytes to all', async t => {
  const { server, client, received } = await pair(t)
  const other = await open(t, server, '/')
  const receivedByOther = receivedBy(other)
  const writes = [...server.app.websocket.subscribers('news')].map(writesOf)
  let arrived = Promise.all([until(client, '4'), until(other, '4')])
  process.nextTick(() => server.app.websocket.publish('news', '3'))
  queueMicrotask(() => server.app.websocket.publish('news', '4'))
  for (const text of ['1', '2']) server.app.websocket.publish('news', text)
  await arrived
  t.same(writes.map(each => each.length), [1, 1])
  t.equal(writes[0]?.[0], writes[1]?.[0], 'put together once')
  arrived = Promise.all([until(client, '5'), until(other, '5')])
  server.app.websocket.publish('news', '5')
  await arrived
  t.same(writes.map(each => each.length), [2, 2])
  t.same(received.toSorted(), ['1', '2', '3', '4', '5'])
  t.same(receivedByOther, received)
})

test('sockets that were sent to in between get the same in their own order', async t => {
  const { server, socket, client, received } = await pair(t)
  const other = await open(t, server, '/')
  const receivedByOther = receivedBy(other)
  const { publish } = server.app.websocket
  publish('news', 'a')
  socket.send('to one')
  publish('news', 'b')
  socket.unsubscribe('news')
  publish('news', 'to the other')
  socket.subscribe('news')
  publish('news', 'c')
  await Promise.all([until(client, 'c'), until(other, 'c')])
  t.same(received, ['a', 'to one', 'b', 'c'])
  t.same(receivedByOther, ['a', 'b', 'to the other', 'c'])
})

test('messages of every length arrive whole', async t => {
  const { server, client, received } = await pair(t)
  const texts = [0, 1, 125, 126, 65_535, 65_536, 70_000].map(length => 'ü'.repeat(length / 2) + 'x'.repeat(length % 2))
  for (const text of texts) server.app.websocket.publish('news', text)
  server.app.websocket.publish('news', 'end')
  await until(client, 'end')
  t.same(received, [...texts, 'end'])
})

test('what is too much for one write is written before the turn is over', async t => {
  const { server, socket, client } = await pair(t)
  const writes = writesOf(socket)
  for (let n = 0; n < 10; n++) server.app.websocket.publish('news', 'x'.repeat(40_000))
  t.equal(writes.length, 5)
  server.app.websocket.publish('news', 'end')
  await until(client, 'end')
  t.equal(writes.length, 6)
})

test('what was published before a socket is closed arrives, and nothing comes after the close frame', async t => {
  const { server, socket, client, received } = await pair(t)
  const end = closing(client)
  server.app.websocket.publish('news', 'before')
  socket.close(4000, 'done')
  t.equal(server.app.websocket.publish('news', 'after'), 0)
  await turn()
  t.same(await end, { code: 4000, reason: 'done' })
  t.same(received, ['before'])
})

test('what was published before the peer closes does not follow the answer to its close frame', async t => {
  const { server, client, socket } = await pair(t)
  const errors: unknown[] = []
  client.on('error', error => errors.push(error))
  socket.prependListener('message', () => server.app.websocket.publish('news', 'early'))
  client.send('hello')
  client.close(1000)
  t.match(await closing(client), { code: 1000 })
  t.same(errors, [])
})

test('a publication waits for the end of a message that is sent in fragments', async t => {
  const { server, socket, client, received } = await pair(t)
  socket.send('one ', { fin: false })
  server.app.websocket.publish('news', 'published')
  await turn()
  socket.send('message', { fin: true })
  await until(client, 'published')
  t.same(received, ['one message', 'published'])
})

test('a publication comes after a Blob that was sent before it', async t => {
  const { server, socket, client, received } = await pair(t)
  socket.send(new Blob(['blob']) as never)
  server.app.websocket.publish('news', 'published')
  await until(client, 'published')
  t.same(received, ['blob', 'published'])
})

for (const slowReader of ['close', 'drop-oldest'] as const) {
  test(`compressed sockets get publications compressed, in order (${slowReader})`, async t => {
    const { server, socket, client, received } = await pair(t, { slowReader }, { compress: true })
    t.equal(client.extensions, 'permessage-deflate')
    const { publish } = server.app.websocket
    publish('news', 'a')
    publish('news', 'b')
    socket.send('c')
    publish('news', Buffer.from('d'))
    await until(client, 'd')
    for (let n = 0; n < 50; n++) publish('news', `${n} `.repeat(1000))
    publish('news', 'end')
    await until(client, 'end')
    t.same(received, ['a', 'b', 'c', 'd', ...Array.from({ length: 50 }, (_, n) => `${n} `.repeat(1000)), 'end'])
  })
}

test('sendAsync resolves when the system has taken the message, and not while the peer does not read', async t => {
  const { socket, client } = await pair(t)
  client.pause()
  const message = 'x'.repeat(500_000)
  let pending: Promise<void> = Promise.resolve()
  let isSent = true
  while (isSent) {
    isSent = false
    pending = socket.sendAsync(message).then(() => { isSent = true })
    await turn()
    await turn()
  }
  t.ok(socket.bufferedAmount > 0)
  client.resume()
  await pending
  t.equal(socket.bufferedAmount, 0)
  t.equal(socket.readyState, socket.OPEN)
})

test('sendAsync on a socket that is closed, or closes before the message is out, rejects', async t => {
  const pairUnderTest = await pair(t)
  const { socket } = pairUnderTest
  await fill(pairUnderTest)
  const pending = socket.sendAsync('never read')
  socket.terminate()
  await t.rejects(pending, { code: 'FST_KEEP_WEBSOCKET_SEND_FAILED', cause: Error })
  await t.rejects(socket.sendAsync('too late'), { code: 'FST_KEEP_WEBSOCKET_SEND_FAILED' })
})
