import { once } from 'node:events'
import { Redis } from 'ioredis'
import { test, type Test } from 'tap'
import type { WebSocket } from 'ws'
import { redisBroker } from '@fastkeep/websocket/redis'
import { RedisServer, withRedis } from '../secure-session/redis-server.ts'
import { open, serve, type ServerUnderTest } from './server-under-test.js'

interface Node {
  server: ServerUnderTest
  client: WebSocket
  /** What the client has got. */
  received: string[]
}

/** One of several servers that share a Redis, with a client that has subscribed to `news`. */
async function node (t: Test, redis: RedisServer): Promise<Node> {
  const client = new Redis({ port: redis.port, host: '127.0.0.1', lazyConnect: true })
  const server = await serve(t, { broker: redisBroker({ client, prefix: 'test:' }) }, app => {
    app.get('/:topic', { websocket: true }, (socket, request) => {
      socket.subscribe((request.params as { topic: string }).topic)
      socket.on('message', () => socket.unsubscribe('news'))
    })
  })
  const webSocket = await open(t, server, '/news')
  const received: string[] = []
  webSocket.on('message', data => received.push(String(data)))
  return { server, client: webSocket, received }
}

/** Resolves when a condition holds that becomes true by messages which are on their way. */
async function eventually (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise(resolve => setImmediate(resolve))
}

/** Publishes on one node until the other one's client gets something. */
async function untilCarried (from: Node, to: Node): Promise<void> {
  const { length } = to.received
  while (to.received.length === length) {
    from.server.app.websocket.publish('news', 'probe')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('what is published on one server reaches the subscribers of all, once each and in order', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const [a, b] = [await node(t, redis), await node(t, redis)]
  await untilCarried(b, a)
  await untilCarried(a, b)
  a.received.length = b.received.length = 0
  const sent = Array.from({ length: 500 }, (_, n) => `grüß dich ${n}`)
  for (const text of sent) a.server.app.websocket.publish('news', text)
  await eventually(() => b.received.at(-1) === sent.at(-1))
  t.same(b.received.filter(text => text !== 'probe'), sent)
  t.same(a.received.filter(text => text !== 'probe'), sent, 'and its own only once')
})

test('text, bytes and JSON arrive on the other server as what they are', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const [a, b] = [await node(t, redis), await node(t, redis)]
  await untilCarried(a, b)
  await untilCarried(b, a)
  for (const [message, data, isBinary] of [
    ['', Buffer.from(''), false], ['ü', Buffer.from('ü'), false], [Buffer.from([0, 255, 10, 13]), Buffer.from([0, 255, 10, 13]), true], [{ a: 'ü' }, Buffer.from('{"a":"ü"}'), false],
  ] as const) {
    let arrived = once(b.client, 'message')
    a.server.app.websocket.publish('news', message, { key: 'ключ' })
    let [got, flag] = await arrived
    while (String(got) === 'probe') {
      arrived = once(b.client, 'message');
      [got, flag] = await arrived
    }
    t.same(got, data)
    t.equal(flag, isBinary)
  }
})

test('a server listens for the topics of its own subscribers only', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const { client } = await node(t, redis)
  const control = await redis.readyClient(t)
  const channels = async () => await control.call('PUBSUB', 'CHANNELS', 'test:*') as string[]
  await eventually(async () => (await channels()).length === 1)
  t.same(await channels(), ['test:news'])
  client.send('unsubscribe')
  await eventually(async () => (await channels()).length === 0)
})

test('what is no publication is left alone', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const [a, b] = [await node(t, redis), await node(t, redis)]
  const control = await redis.readyClient(t)
  await untilCarried(a, b)
  for (const message of ['', 'hello', '\u0000', '\u0003'.repeat(40), '\u0000'.repeat(18)]) await control.publish('test:news', message)
  b.received.length = 0
  await untilCarried(a, b)
  t.ok(b.received.every(text => text === 'probe'))
})

test('a Redis killed and started again under traffic: local delivery goes on, remote delivery is back within 2 s, both are told', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const a = await node(t, redis)
  const b = await node(t, redis)
  await untilCarried(a, b)
  await untilCarried(b, a)
  a.received.length = b.received.length = 0
  let n = 0
  const traffic = setInterval(() => a.server.app.websocket.publish('news', `n ${n++}`), 2)
  t.teardown(() => clearInterval(traffic))
  const logged = (code: string) => a.server.log.filter(line => line.code === code)
  await eventually(() => b.received.length > 20)
  await redis.stop('SIGKILL')
  await eventually(() => logged('FST_KEEP_WEBSOCKET_BROKER_AWAY').length === 1)
  const before = a.received.length
  await eventually(() => a.received.length > before + 50)
  await redis.start()
  const started = performance.now()
  const { length } = b.received
  await eventually(() => b.received.length > length)
  t.ok(performance.now() - started < 2_000, 'remote delivery is back within 2 s')
  await eventually(() => logged('FST_KEEP_WEBSOCKET_BROKER_BACK').length === 1)
  clearInterval(traffic)
  await eventually(() => a.received.at(-1) === `n ${n - 1}` && b.received.at(-1) === `n ${n - 1}`)
  t.same(a.received, Array.from({ length: n }, (_, index) => `n ${index}`), 'nothing is missing here')
  t.ok(b.received.length < n, 'there, what was published meanwhile is')
  t.equal(new Set(b.received).size, b.received.length, 'and nothing came twice')
  t.ok(Number(logged('FST_KEEP_WEBSOCKET_BROKER_BACK')[0]?.missed) >= 50, 'how many is told')
  t.equal(logged('FST_KEEP_WEBSOCKET_BROKER_AWAY').length, 1)
})

test('a Redis that hangs counts as away, and nothing waits for it', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const a = await node(t, redis)
  redis.pause()
  const traffic = setInterval(() => a.server.app.websocket.publish('news', 'x'), 5)
  t.teardown(() => clearInterval(traffic))
  await eventually(() => a.server.log.some(line => line.code === 'FST_KEEP_WEBSOCKET_BROKER_AWAY'))
  const { length } = a.received
  await eventually(() => a.received.length > length + 10)
  redis.resume()
  await eventually(() => a.server.log.some(line => line.code === 'FST_KEEP_WEBSOCKET_BROKER_BACK'))
})

test('a server starts without its Redis, says so, and finds it when it comes', withRedis, async t => {
  const redis = await RedisServer.start(t)
  await redis.stop()
  const a = await node(t, redis)
  t.match(a.server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_BROKER_AWAY'), [{ msg: /ECONNREFUSED/ }])
  t.equal(a.server.app.websocket.publish('news', 'here'), 1)
  await redis.start()
  await eventually(() => a.server.log.some(line => line.code === 'FST_KEEP_WEBSOCKET_BROKER_BACK'))
  const b = await node(t, redis)
  await untilCarried(b, a)
})

test('options that are none are refused', t => {
  t.throws(() => redisBroker({ client: {} as never }), { code: 'FST_KEEP_WEBSOCKET_OPTION_INVALID' })
  t.throws(() => redisBroker({ client: new Redis({ lazyConnect: true }), prefix: '' }), { code: 'FST_KEEP_WEBSOCKET_OPTION_INVALID' })
  t.throws(() => redisBroker({ client: new Redis({ lazyConnect: true }), channel: 'x' } as never), { code: 'FST_KEEP_WEBSOCKET_OPTION_UNKNOWN' })
  t.end()
})
