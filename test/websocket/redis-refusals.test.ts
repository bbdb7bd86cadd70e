import { Redis } from 'ioredis'
import { test, type Test } from 'tap'
import { redisBroker } from '@fastkeep/websocket/redis'
import { RedisServer, withRedis } from '../secure-session/redis-server.ts'
import { nextText, open, serve, type LogLine, type ServerUnderTest } from './server-under-test.js'

const AWAY = 'FST_KEEP_WEBSOCKET_BROKER_AWAY'
const BACK = 'FST_KEEP_WEBSOCKET_BROKER_BACK'

const PASSWORD = 'a password that no log may hold'

/** A server whose Redis lets it do what the ACL rules say. */
async function withRights (t: Test, redis: RedisServer, username: string, ...rules: string[]): Promise<ServerUnderTest> {
  const control = await redis.readyClient(t)
  await control.acl('SETUSER', username, 'on', `>${PASSWORD}`, ...rules)
  const client = new Redis({ port: redis.port, host: '127.0.0.1', username, password: PASSWORD, lazyConnect: true })
  return await serve(t, { broker: redisBroker({ client, prefix: 'test:' }) }, app => {
    app.get('/:topic', { websocket: true }, (socket, request) => { socket.subscribe((request.params as { topic: string }).topic) })
  })
}

/** Resolves with the lines of this code once there are so many. */
async function logged ({ log }: ServerUnderTest, code: string, count = 1): Promise<LogLine[]> {
  for (;;) {
    const lines = log.filter(line => line.code === code)
    if (lines.length >= count) return lines
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('a topic that Redis lets a server not subscribe to is told, asked for again and told to be back; the others are carried', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const control = await redis.readyClient(t)
  const remote = await withRights(t, redis, 'all', '+@all', 'allchannels')
  const server = await withRights(t, redis, 'some', '+@all', 'resetchannels', '&test:open')
  const [open1, closed] = [await open(t, server, '/open'), await open(t, server, '/closed')]
  t.match(await logged(server, AWAY), [{ topic: 'closed', err: { message: /^NOPERM/ }, msg: /^The topic "closed" stays within its process, the broker refuses it: NOPERM/ }])
  const local = nextText(closed)
  t.equal(server.app.websocket.publish('closed', 'here'), 1)
  t.equal(await local, 'here')
  const carried = nextText(open1)
  remote.app.websocket.publish('open', 'from afar')
  t.equal(await carried, 'from afar')
  // What goes out is as refused as what comes in.
  t.match(await logged(server, AWAY, 2), [{}, { topic: 'closed' }])
  t.same(server.log.filter(line => line.code === BACK), [])
  await control.acl('SETUSER', 'some', '&test:closed')
  t.match(await logged(server, BACK), [{ topic: 'closed', missed: 0, msg: /^The topic "closed" reaches other processes again/ }])
  const back = nextText(closed)
  remote.app.websocket.publish('closed', 'from afar')
  t.equal(await back, 'from afar')
  server.app.websocket.publish('closed', 'out')
  t.match(await logged(server, BACK, 2), [{}, { topic: 'closed', missed: 1 }])
  t.equal(server.log.filter(line => line.code === AWAY).length, 2)
  t.notMatch(JSON.stringify(server.log), PASSWORD)
})

test('one topic that is refused keeps no other from a connection that is made anew', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const control = await redis.readyClient(t)
  const remote = await withRights(t, redis, 'all', '+@all', 'allchannels')
  const server = await withRights(t, redis, 'some', '+@all', 'resetchannels', '&test:open')
  const client = await open(t, server, '/open')
  await open(t, server, '/closed')
  await logged(server, AWAY)
  await control.client('KILL', 'USER', 'some')
  t.match((await logged(server, AWAY, 2))[1], { topic: undefined, msg: /their broker is away/ })
  t.match(await logged(server, BACK), [{ topic: undefined, msg: /^Topics reach other processes again/ }])
  const carried = nextText(client)
  remote.app.websocket.publish('open', 'from afar')
  t.equal(await carried, 'from afar')
})

test('a password that Redis refuses is told without it, and tried again', withRedis, async t => {
  const redis = await RedisServer.start(t)
  const control = await redis.readyClient(t)
  await control.acl('SETUSER', 'someone', 'on', '>another password')
  const client = new Redis({ port: redis.port, host: '127.0.0.1', username: 'someone', password: PASSWORD, lazyConnect: true })
  const server = await serve(t, { broker: redisBroker({ client }) }, () => {})
  t.match(await logged(server, AWAY), [{ err: { message: /WRONGPASS/ } }])
  await control.acl('SETUSER', 'someone', `>${PASSWORD}`, '+@all', 'allchannels')
  await logged(server, BACK)
  t.notMatch(JSON.stringify(server.log), PASSWORD)
})
