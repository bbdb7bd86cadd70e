import { once } from 'node:events'
import { test, type Test } from 'tap'
import type { WebSocket } from 'ws'
import type { GuardedWebSocket, WebSocketPluginOptions } from '@fastkeep/websocket'
import { closing, open, serve, type ServerUnderTest } from './server-under-test.js'

const MARK = 256 * 1024

interface Behind {
  server: ServerUnderTest
  socket: GuardedWebSocket
  client: WebSocket
  /** What the client has got since it was filled. */
  received: string[]
}

const turn = () => new Promise(resolve => setImmediate(resolve))

/** A subscriber of `news` that does not read, and for which the system takes no more. */
async function behind (t: Test, slowReader: WebSocketPluginOptions['slowReader']): Promise<Behind> {
  const sockets: GuardedWebSocket[] = []
  const server = await serve(t, { slowReader, maxBufferedBytes: MARK }, app => {
    app.get('/', { websocket: true }, socket => {
      sockets.push(socket)
      socket.subscribe('news')
    })
  })
  const client = await open(t, server, '/')
  const socket = sockets[0] as GuardedWebSocket
  const received: string[] = []
  client.on('message', data => { if (!String(data).startsWith('x')) received.push(String(data)) })
  client.pause()
  do {
    server.app.websocket.publish('news', 'x'.repeat(60_000))
    await turn()
  } while (socket.bufferedAmount < 64 * 1024)
  return { server, socket, client, received }
}

/** Lets the client read until it has got this message. */
function read (client: WebSocket, last: string): Promise<void> {
  client.resume()
  return new Promise(resolve => {
    client.on('message', data => { if (String(data) === last) resolve() })
  })
}

const numbered = (n: number) => `${n}:${'.'.repeat(1_000)}`

test('drop-oldest: a reader that is behind gets the newest in order, stays open, and is said to be behind once', async t => {
  const { server, socket, client, received } = await behind(t, 'drop-oldest')
  let most = 0
  for (let n = 0; n < 2_000; n++) {
    server.app.websocket.publish('news', numbered(n))
    most = Math.max(most, socket.bufferedAmount)
    if (n % 100 === 0) await turn()
  }
  t.ok(most <= MARK, `bounded by the mark, was ${most}`)
  await read(client, numbered(1_999))
  t.ok(received.length < 500, `of 2000 came ${received.length}`)
  const first = Number.parseInt(received[0] ?? '')
  t.same(received, Array.from({ length: 2_000 - first }, (_, index) => numbered(first + index)))
  t.equal(socket.readyState, socket.OPEN)
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_PUBLICATIONS_LEFT_OUT'), { length: 1 })
  server.app.websocket.publish('news', 'on we go')
  await read(client, 'on we go')
})

test('keep-latest: a reader that is behind gets the latest of each key', async t => {
  const { server, client, received } = await behind(t, 'keep-latest')
  const { publish } = server.app.websocket
  publish('news', 'no key 1')
  for (let n = 0; n < 100; n++) {
    for (const key of ['a', 'b', 'c']) publish('news', `${key} ${n}`, { key })
  }
  publish('news', 'a 100', { key: 'a' })
  publish('news', 'no key 2')
  await read(client, 'no key 2')
  t.same(received, ['b 99', 'c 99', 'a 100', 'no key 2'])
})

test('keep-latest: a reader that is not behind gets all', async t => {
  const { server, client, received } = await behind(t, 'keep-latest')
  server.app.websocket.publish('news', 'caught up')
  await read(client, 'caught up')
  await turn()
  for (let n = 0; n < 5; n++) server.app.websocket.publish('news', `${n}`, { key: 'a' })
  await read(client, '4')
  t.same(received, ['caught up', '0', '1', '2', '3', '4'])
})

for (const slowReader of ['drop-oldest', 'keep-latest'] as const) {
  test(`${slowReader}: what is sent to the socket itself is never left out, and keeps its place`, async t => {
    const { server, socket, client, received } = await behind(t, slowReader)
    const { publish } = server.app.websocket
    publish('news', 'before', { key: 'a' })
    socket.send('direct')
    for (let n = 0; n < 1_000; n++) publish('news', numbered(n), { key: 'a' })
    publish('news', 'after', { key: 'a' })
    await read(client, 'after')
    t.same(received.slice(0, 2), ['before', 'direct'])
    t.equal(received.at(-1), 'after')
  })

  test(`${slowReader}: a peer that does not read what is sent to it alone is closed with 1013 all the same`, async t => {
    const { server, socket, client } = await behind(t, slowReader)
    const error = await new Promise(resolve => {
      for (let n = 0; n < 10; n++) socket.send('y'.repeat(MARK / 4), error => { if (error != null) resolve(error) })
    })
    t.match(error, { message: /not open/ })
    const end = closing(client)
    client.resume()
    t.match(await end, { code: 1013 })
    t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_SLOW_READER'), { length: 1 })
  })
}

test('one subscriber that never reads neither delays the others nor makes them wait', async t => {
  const { server, socket } = await behind(t, 'drop-oldest')
  const quick = await open(t, server, '/')
  for (let n = 0; n < 100; n++) {
    server.app.websocket.publish('news', numbered(n))
    const [data] = await once(quick, 'message')
    if (String(data) !== numbered(n)) t.fail(`got ${String(data)}`)
  }
  t.ok(socket.bufferedAmount <= MARK)
})
