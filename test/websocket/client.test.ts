import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { test, type Test } from 'tap'
import { connect } from '@fastkeep/websocket/client'
import type { WebSocketRouteOptions } from '@fastkeep/websocket'
import { client, next, pageSocket, turns } from './clients.js'
import { deferred, serve, type ServerUnderTest } from './server-under-test.js'

const never = new Promise(() => {})

/** A server that says what it was told, and keeps count. */
async function echoServer (t: Test, route: WebSocketRouteOptions = {}): Promise<ServerUnderTest & { said: unknown[] }> {
  const said: unknown[] = []
  const server = await serve(t, {}, app => {
    app.get('/', {
      websocket: {
        messages: {
          say: { handler: data => { said.push(data); return { said: data } } },
          fail: { handler: () => { throw Object.assign(new Error('no such room'), { statusCode: 404, code: 'NO_ROOM' }) } },
          hang: { handler: data => { said.push(data); return never } },
        },
        topics: { authorize: (_socket, topic) => topic !== 'secret' },
        ...route,
      },
    }, () => {})
  })
  return { ...server, said }
}

/** Cuts every connection of the server, without a close frame. */
function cut ({ app }: ServerUnderTest): void {
  for (const socket of app.websocketServer.clients) socket.terminate()
}

test('what is built is one file of less than 3 kB gzipped that imports nothing', t => {
  const file = readFileSync(new URL('../../packages/websocket/dist/client/client.js', import.meta.url))
  t.ok(gzipSync(file).length < 3000, `${gzipSync(file).length} bytes`)
  t.notMatch(String(file), /\bimport\b|\brequire\b/)
  t.end()
})

test('a request gives the answer of its handler, a refused one the code and message of the server', async t => {
  const made = client(t, await echoServer(t))
  t.same(await Promise.all([made.request('say', 'one'), made.request('say', { two: 2 })]), [{ said: 'one' }, { said: { two: 2 } }])
  await t.rejects(made.request('fail'), { code: 'NO_ROOM', message: 'no such room' })
  await t.rejects(made.request('unknown'), { code: 'FST_KEEP_WEBSOCKET_MESSAGE_UNKNOWN' })
})

test('what is sent before there is a connection goes out with it, in order', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  made.send('say', 1)
  const answer = made.request('say', 2)
  made.send('say', 3)
  t.same(await answer, { said: 2 })
  await made.request('say', 4)
  t.same(server.said, [1, 2, 3, 4])
})

test('no more than maxQueued messages wait, and none that nobody waits for any more', async t => {
  const server = await echoServer(t)
  const address = deferred<string>()
  const made = connect(() => address.promise, { WebSocket: pageSocket(server.origin), maxQueued: 2 })
  t.teardown(() => made.close())
  await t.rejects(made.request('say', 'too late', { timeout: 1 }), { code: 'FST_KEEP_WEBSOCKET_CLIENT_TIMEOUT' })
  made.send('say', 1)
  made.send('say', 2)
  t.throws(() => made.send('say', 3), { code: 'FST_KEEP_WEBSOCKET_CLIENT_QUEUE_FULL' })
  await t.rejects(made.request('say', 3), { code: 'FST_KEEP_WEBSOCKET_CLIENT_QUEUE_FULL' })
  address.resolve(`ws://${server.host}/`)
  await next(made, 'open')
  await made.request('say', 4)
  t.same(server.said, [1, 2, 4])
})

test('a request that was sent when the connection was lost is rejected, and not sent again', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  const lost = made.request('hang', 'once')
  await turns(() => server.said.length === 1)
  cut(server)
  await t.rejects(lost, { code: 'FST_KEEP_WEBSOCKET_CLIENT_CONNECTION_LOST' })
  await made.request('say', 'again')
  t.same(server.said, ['once', 'again'])
})

test('a subscription outlives the connection', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  const heard: unknown[] = []
  made.subscribe('news', message => heard.push(message))
  t.same(await next(made, 'subscribed'), { topic: 'news' })
  server.app.websocket.publish('news', { n: 1 })
  await turns(() => heard.length === 1)

  const [closed, opened, subscribed] = [next(made, 'close'), next(made, 'open'), next(made, 'subscribed')]
  cut(server)
  t.match(await closed, { code: 1006, delay: Number })
  t.same(await opened, { isFirst: false })
  await subscribed
  server.app.websocket.publish('news', 'two')
  await turns(() => heard.length === 2)
  t.same(heard, [{ n: 1 }, 'two'])
})

test('a topic is subscribed to once for all its listeners, and left with the last of them', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  await next(made, 'open')
  const heard: unknown[] = []
  const hear = (message: unknown): void => { heard.push(message) }
  const leave = [made.subscribe('news', hear), made.subscribe('news', hear)]
  await next(made, 'subscribed')
  server.app.websocket.publish('news', 1)
  await turns(() => heard.length === 2)
  leave[0]?.()
  leave[0]?.()
  server.app.websocket.publish('news', 2)
  await turns(() => heard.length === 3)
  leave[1]?.()
  await turns(() => server.app.websocket.subscribers('news').size === 0)
  t.same(heard, [1, 1, 2])
})

test('a topic that the server refuses is an error event, and is not asked for again', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  made.subscribe('secret', () => t.fail('nothing is to come'))
  t.match(await next(made, 'error'), { code: 'FST_KEEP_WEBSOCKET_TOPIC_REFUSED', topic: 'secret' })
  made.on('error', () => t.fail('asked again'))
  const opened = next(made, 'open')
  cut(server)
  await opened
  await made.request('say', 'after whatever the connection began with')
})

test('a message that is refused without being a request is an error event', async t => {
  const made = client(t, await echoServer(t))
  made.send('unknown')
  t.match(await next(made, 'error'), { code: 'FST_KEEP_WEBSOCKET_MESSAGE_UNKNOWN', topic: undefined })
})

test('messages of the server and what is no envelope are events of their own', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
  })
  const made = client(t, server)
  made.send('greeting', { name: 'Ada' })
  t.same(await next(made, 'message'), { type: 'greeting', data: { name: 'Ada' } })
  for (const text of ['plain', '7', 'null', '{"type":7}']) {
    made.sendRaw(text)
    t.equal(await next(made, 'data'), text)
  }
  made.sendRaw(Uint8Array.of(1, 2))
  t.same(new Uint8Array(await next(made, 'data') as ArrayBuffer), Uint8Array.of(1, 2))
})

test('close() ends it for good', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  await next(made, 'open')
  const [hangs, closed] = [made.request('hang'), next(made, 'close')]
  made.close(4000, 'seen enough')
  t.equal(made.state, 'closed')
  t.match(await closed, { code: 4000, reason: 'seen enough', delay: undefined })
  await t.rejects(hangs, { code: 'FST_KEEP_WEBSOCKET_CLIENT_CLOSED' })
  await t.rejects(made.request('say'), { code: 'FST_KEEP_WEBSOCKET_CLIENT_CLOSED' })
  t.throws(() => made.send('say'), { code: 'FST_KEEP_WEBSOCKET_CLIENT_CLOSED' })
  t.throws(() => made.subscribe('news', () => {}), { code: 'FST_KEEP_WEBSOCKET_CLIENT_CLOSED' })
  made.close()
})

test('a client that is closed before it has a connection makes none', async t => {
  const server = await echoServer(t)
  const made = client(t, server)
  const closed = next(made, 'close')
  made.close()
  t.match(await closed, { delay: undefined })

  const address = deferred<string>()
  const dialling = connect(() => address.promise, { WebSocket: pageSocket(server.origin) })
  const ended = next(dialling, 'close')
  dialling.close()
  t.match(await ended, { code: 1000, delay: undefined })
  address.resolve(`ws://${server.host}/`)
  await client(t, server).request('say')
  t.equal(server.app.websocketServer.clients.size, 1)
})
