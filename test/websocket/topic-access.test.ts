import { once } from 'node:events'
import { test, type Test } from 'tap'
import type { WebSocket } from 'ws'
import type { TopicsOptions, WebSocketRouteOptions } from '@fastkeep/websocket'
import { deferred, open, serve, type ServerUnderTest } from './server-under-test.js'

interface Envelope { type: string, id?: number, topic?: string, data?: unknown }

interface Client {
  socket: WebSocket
  /** What came besides answers. */
  received: Envelope[]
  ask: (type: string, data?: unknown) => Promise<Envelope>
}

async function served (t: Test, topics: TopicsOptions, more: WebSocketRouteOptions = {}): Promise<ServerUnderTest> {
  return await serve(t, { authenticate: ({ headers }) => headers.authorization }, app => {
    app.get('/', { websocket: { topics, ...more } }, () => {})
    app.get('/plain', { websocket: true }, socket => socket.subscribe('news'))
  })
}

async function connect (t: Test, server: ServerUnderTest, user = 'ada'): Promise<Client> {
  const socket = await open(t, server, '/', { headers: { authorization: user } })
  const received: Envelope[] = []
  const waiting = new Map<number, (answer: Envelope) => void>()
  let id = 0
  socket.on('message', data => {
    const envelope = JSON.parse(String(data)) as Envelope
    const answer = waiting.get(envelope.id ?? -1)
    if (answer === undefined) received.push(envelope)
    else answer(envelope)
  })
  return {
    socket,
    received,
    ask: (type, data) => new Promise(resolve => {
      waiting.set(++id, resolve)
      socket.send(JSON.stringify({ type, id, data }))
    }),
  }
}

const anyone: TopicsOptions = { authorize: () => true }

test('a client subscribes to what authorize lets it, and gets its publications with their topic', async t => {
  const asked: unknown[] = []
  const server = await served(t, {
    authorize: async (socket, topic) => {
      asked.push([socket.peer, topic])
      return topic === `user/${String(socket.peer)}`
    },
  })
  const ada = await connect(t, server)
  t.match(await ada.ask('keep.subscribe', { topic: 'user/ada' }), { type: 'keep.reply', data: { topic: 'user/ada' } })
  t.match(await ada.ask('keep.subscribe', { topic: 'user/grace' }), { type: 'keep.error', data: { code: 'FST_KEEP_WEBSOCKET_TOPIC_REFUSED' } })
  t.same(asked, [['ada', 'user/ada'], ['ada', 'user/grace']])
  t.equal(server.app.websocket.presence('user/ada'), 1)
  t.equal(server.app.websocket.presence('user/grace'), 0)
  for (const message of ['te"xt', { a: [1] }, null]) server.app.websocket.publish('user/ada', message)
  server.app.websocket.publish('user/grace', 'not for ada')
  t.match(await ada.ask('keep.unsubscribe', { topic: 'user/ada' }), { type: 'keep.reply' })
  t.same(ada.received, ['te"xt', { a: [1] }, null].map(data => ({ type: 'keep.topic', topic: 'user/ada', data })))
  t.equal(server.app.websocket.publish('user/ada', 'gone'), 0)
  t.match(await ada.ask('keep.unsubscribe', { topic: 'never/had' }), { type: 'keep.reply' })
})

test('only true authorizes: not a truthy value, not an error', async t => {
  for (const authorize of [() => 'yes', () => 1, async () => ({}), () => { throw new Error('no database') }, async () => { throw new Error('no database') }]) {
    const server = await served(t, { authorize: authorize as unknown as TopicsOptions['authorize'] })
    const client = await connect(t, server)
    const { type, data } = await client.ask('keep.subscribe', { topic: 'news' })
    t.equal(type, 'keep.error')
    t.notMatch(JSON.stringify(data), /database/)
    t.equal(server.app.websocket.presence('news'), 0)
  }
})

test('a name that is none, and a topic too many, are refused before anybody is asked', async t => {
  let asked = 0
  const server = await served(t, { authorize: () => { asked++; return true }, maxPerSocket: 2 })
  const client = await connect(t, server)
  for (const topic of ['', 'news/*', '#', 'a+b', 'x'.repeat(257)]) {
    t.match(await client.ask('keep.subscribe', { topic }), { type: 'keep.error', data: { code: 'FST_KEEP_WEBSOCKET_TOPIC_INVALID' } }, topic)
  }
  for (const data of [undefined, null, 'news', {}, { topic: 7 }, { topic: ['news'] }]) {
    t.match(await client.ask('keep.subscribe', data), { type: 'keep.error', data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_REFUSED' } })
  }
  t.equal(asked, 0)
  for (const topic of ['a', 'b', 'a']) t.match(await client.ask('keep.subscribe', { topic }), { type: 'keep.reply' })
  t.match(await client.ask('keep.subscribe', { topic: 'c' }), { type: 'keep.error', data: { code: 'FST_KEEP_WEBSOCKET_TOPIC_LIMIT' } })
  await client.ask('keep.unsubscribe', { topic: 'a' })
  t.match(await client.ask('keep.subscribe', { topic: 'c' }), { type: 'keep.reply' })
})

test('topics that are asked for at once do not pass the limit together', async t => {
  const go = deferred<boolean>()
  const server = await served(t, { authorize: () => go.promise, maxPerSocket: 1 })
  const client = await connect(t, server)
  const answers = ['a', 'b', 'c'].map(topic => client.ask('keep.subscribe', { topic }))
  go.resolve(true)
  t.same((await Promise.all(answers)).map(({ type }) => type).toSorted(), ['keep.error', 'keep.error', 'keep.reply'])
})

test('a client that unsubscribes while it is considered is no subscriber, and is one if it asks again', async t => {
  const answers = [deferred<boolean>(), deferred<boolean>()]
  let asked = 0
  const server = await served(t, { authorize: async () => await (answers[asked++] as typeof answers[0]).promise })
  const client = await connect(t, server)
  const first = client.ask('keep.subscribe', { topic: 'news' })
  t.match(await client.ask('keep.unsubscribe', { topic: 'news' }), { type: 'keep.reply' })
  const second = client.ask('keep.subscribe', { topic: 'news' })
  answers[0]?.resolve(true)
  t.match(await first, { type: 'keep.reply', data: { topic: 'news' } })
  t.equal(server.app.websocket.presence('news'), 0)
  answers[1]?.resolve(true)
  await second
  t.equal(server.app.websocket.presence('news'), 1)
})

test('a client that was told that its subscription took too long is no subscriber', async t => {
  const go = deferred<boolean>()
  const server = await served(t, { authorize: () => go.promise }, { replyTimeout: 20 })
  const client = await connect(t, server)
  t.match(await client.ask('keep.subscribe', { topic: 'news' }), { type: 'keep.error', data: { code: 'FST_KEEP_WEBSOCKET_MESSAGE_TIMEOUT' } })
  go.resolve(true)
  await client.ask('keep.ping')
  t.equal(server.app.websocket.presence('news'), 0)
})

test('a socket that closes while it is considered is no subscriber', async t => {
  const go = deferred<boolean>()
  const asked = deferred<void>()
  const server = await served(t, { authorize: () => { asked.resolve(); return go.promise } })
  const client = await connect(t, server)
  client.ask('keep.subscribe', { topic: 'news' }).catch(() => {})
  await asked.promise
  const [socket] = server.app.websocketServer.clients
  client.socket.terminate()
  await once(socket as WebSocket, 'close')
  go.resolve(true)
  await new Promise(setImmediate)
  t.equal(server.app.websocket.presence('news'), 0)
})

test('a client of a route without topics cannot subscribe', async t => {
  const server = await served(t, anyone, { topics: undefined, messages: { hello: { handler: () => 'hello' } } } as WebSocketRouteOptions)
  const client = await connect(t, server)
  t.match(await client.ask('keep.subscribe', { topic: 'news' }), { type: 'keep.error' })
  t.equal(server.app.websocket.presence('news'), 0)
})

test('sockets with envelopes and without subscribe to the same topic, each gets its form, and bytes go to both as they are', async t => {
  const server = await served(t, anyone)
  const enveloped = await open(t, server, '/', { headers: { authorization: 'ada' } })
  const plain = await open(t, server, '/plain', { headers: { authorization: 'grace' } })
  const reply = once(enveloped, 'message')
  enveloped.send('{"type":"keep.subscribe","id":1,"data":{"topic":"news"}}')
  await reply
  for (const [message, inEnvelope, asItIs] of [
    ['hello', '{"type":"keep.topic","topic":"news","data":"hello"}', 'hello'],
    [{ a: 1 }, '{"type":"keep.topic","topic":"news","data":{"a":1}}', '{"a":1}'],
    [Buffer.from('bytes'), 'bytes', 'bytes'],
  ] as const) {
    const arrived = Promise.all([once(enveloped, 'message'), once(plain, 'message')])
    t.equal(server.app.websocket.publish('news', message), 2)
    const [[one, isBinary], [other]] = await arrived
    t.equal(String(one), inEnvelope)
    t.equal(String(other), asItIs)
    t.equal(isBinary, Buffer.isBuffer(message))
  }
})
