import { once } from 'node:events'
import { test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { addressKey } from '../../packages/websocket/src/connection-limits.js'
import { RateLimit } from '../../packages/websocket/src/rate-limit.js'
import { closing, deferred, frame, nextText, open, received, refusal, sendHandshake, serve, type ServerUnderTest } from './server-under-test.js'

const silent = (app: FastifyInstance) => { app.get('/', { websocket: true }, () => {}) }
const codesOf = ({ log }: ServerUnderTest) => log.flatMap(({ code }) => code ?? [])

test('more sockets than maxConnections are refused with 503 and Retry-After, until one has closed', async t => {
  const server = await serve(t, { maxConnections: 2 }, silent)
  const [first] = await Promise.all([open(t, server, '/'), open(t, server, '/')])
  const { status, headers, body } = await refusal(server.port, '/', { Origin: server.origin })
  t.match({ status, headers, body: JSON.parse(body) }, { status: 503, headers: { 'retry-after': '5' }, body: { code: 'FST_KEEP_WEBSOCKET_CONNECTION_LIMIT' } })
  const opened = server.app.websocketServer
  first.close()
  await once(first, 'close')
  while (opened.clients.size > 1) await new Promise(setImmediate)
  await open(t, server, '/')
})

test('a route may have a limit of its own, which leaves the others alone', async t => {
  const server = await serve(t, {}, app => {
    silent(app)
    app.get('/few', { websocket: { maxConnections: 1 } }, () => {})
  })
  await Promise.all([open(t, server, '/'), open(t, server, '/'), open(t, server, '/few')])
  t.equal((await refusal(server.port, '/few', { Origin: server.origin })).status, 503)
})

test('more sockets of one address than maxConnectionsPerAddress are refused with 429', async t => {
  const server = await serve(t, { maxConnectionsPerAddress: 1, origin: () => true }, silent, { trustProxy: true })
  await open(t, server, '/', { headers: { 'x-forwarded-for': '2001:db8:0:1::1' } })
  const { status, headers, body } = await refusal(server.port, '/', { Origin: server.origin, 'X-Forwarded-For': '2001:db8:0:1::2' })
  t.match({ status, headers, body: JSON.parse(body) }, { status: 429, headers: { 'retry-after': '30' }, body: { code: 'FST_KEEP_WEBSOCKET_ADDRESS_LIMIT' } })
  await open(t, server, '/', { headers: { 'x-forwarded-for': '2001:db8:0:2::1' } })
})

test('an address counts as its /64, or as the IPv4 address that it stands for', async t => {
  const keys = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2',
    '2001:DB8:1:2::6': '2001:db8:1:2',
    '2001:0db8:0001::': '2001:db8:1:0',
    '::1': '0:0:0:0',
    '::': '0:0:0:0',
    'fe80::1%eth0': 'fe80:0:0:0',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0',
    '1:2:3:4:5:6:192.0.2.1': '1:2:3:4',
  }
  for (const [ip, key] of Object.entries(keys)) t.equal(addressKey(ip), key, ip)
})

test('more sockets of one user than maxConnectionsPerUser are refused with 429, however the user is known', async t => {
  const peers: Record<string, unknown> = { '/name': 'ada', '/id': { id: 7 }, '/own': { login: 'grace' } }
  const server = await serve(t, {
    maxConnectionsPerUser: 1,
    authenticate: request => peers[request.url.replace(/\?.*/, '')],
    userOf: (peer, request) => request.url.startsWith('/own') ? (peer as { login: string }).login : undefined,
  }, app => { for (const path of Object.keys(peers)) app.get(path, { websocket: true }, () => {}) })
  await open(t, server, '/own')
  const { status, body } = await refusal(server.port, '/own', { Origin: server.origin })
  t.match({ status, body: JSON.parse(body) }, { status: 429, body: { code: 'FST_KEEP_WEBSOCKET_USER_LIMIT' } })

  const byDefault = await serve(t, { maxConnectionsPerUser: 1, authenticate: request => peers[request.url] }, app => {
    for (const path of Object.keys(peers)) app.get(path, { websocket: true }, () => {})
  })
  await Promise.all(['/name', '/id'].map(path => open(t, byDefault, path)))
  for (const path of ['/name', '/id']) t.equal((await refusal(byDefault.port, path, { Origin: byDefault.origin })).status, 429, path)
  await Promise.all([open(t, byDefault, '/own'), open(t, byDefault, '/own')])
})

test('a handshake that is refused, or fails, or is left, takes nobody\'s place', async t => {
  const asked = deferred<void>()
  const server = await serve(t, { maxConnections: 1, authenticate: request => request.url === '/?wait' ? (asked.resolve(), new Promise(() => {})) : request.url !== '/?no' }, app => {
    silent(app)
    app.get('/hook', { websocket: true, preValidation: async () => { throw Object.assign(new Error('no'), { statusCode: 418 }) } }, () => {})
  })
  t.equal((await refusal(server.port, '/?no')).status, 401)
  t.equal((await refusal(server.port, '/hook')).status, 418)
  const leaving = sendHandshake(server.port, '/?wait')
  await asked.promise
  t.equal((await refusal(server.port, '/')).status, 503, 'one that is being authenticated has a place')
  leaving.destroy()
  while ((await refusal(server.port, '/?no')).status !== 401) await new Promise(setImmediate)
  await open(t, server, '/')
})

for (const [what, options, send] of [
  ['messages', { maxMessagesPerSecond: 3 }, Array(4).fill(frame(1, 'hi'))],
  ['pings', { maxMessagesPerSecond: 3 }, Array(4).fill(frame(9, ''))],
  ['bytes', { maxBytesPerSecond: 100, maxPayload: 100 }, [frame(2, 'x'.repeat(60)), frame(2, 'x'.repeat(60))]],
] as const) {
  test(`more ${what} per second than allowed close the socket with 1008, and nothing more reaches the handler`, async t => {
    let count = 0
    const server = await serve(t, options, app => {
      app.get('/', { websocket: true }, socket => { socket.on('message', () => count++).on('ping', () => count++) })
    })
    const client = sendHandshake(server.port, '/', { Origin: server.origin })
    t.teardown(() => client.destroy())
    await received(client, /\r\n\r\n/)
    client.write(Buffer.concat(send as Buffer[]))
    t.match(await received(client, /per second/), '\x03\xf0too many ')
    t.equal(count, send.length - 1)
    t.ok(codesOf(server).includes('FST_KEEP_WEBSOCKET_RATE_LIMIT'))
  })
}

test('the rate is that of a second, and what was not used is not saved up', t => {
  const limit = new RateLimit({ maxMessagesPerSecond: 10, maxBytesPerSecond: 1000, maxPayload: 2000 }, 0)
  for (let now = 0; now < 60_000; now += 100) if (limit.take(100, now) !== undefined) t.fail(`refused at ${now}`)
  for (let count = 0; count < 10; count++) t.equal(limit.take(1, 3_600_000), undefined)
  t.equal(limit.take(1, 3_600_000), 'messages')
  t.equal(limit.take(2000, 7_200_000), undefined, 'the largest message fits once')
  t.equal(limit.take(900, 7_200_100), 'bytes')
  const none = new RateLimit({ maxMessagesPerSecond: 0, maxBytesPerSecond: 0, maxPayload: 1 }, 0)
  for (let count = 0; count < 10_000; count++) if (none.take(1e9, 0) !== undefined) t.fail('0 is no limit')
  t.end()
})

test('a route has its own maxPayload, smaller or larger than that of the plugin', async t => {
  const server = await serve(t, { maxPayload: 1000 }, app => {
    for (const [path, maxPayload] of [['/small', 10], ['/large', 100_000]] as const) {
      app.get(path, { websocket: { maxPayload } }, socket => { socket.on('message', data => socket.send(String((data as Buffer).length))) })
    }
  })
  const large = await open(t, server, '/large')
  large.send('x'.repeat(100_000))
  t.equal(await nextText(large), '100000')
  for (const [path, length] of [['/small', 11], ['/large', 100_001]] as const) {
    const client = await open(t, server, path)
    client.send('x'.repeat(length))
    t.match(await closing(client), { code: 1009 }, path)
  }
  t.ok(codesOf(server).includes('FST_KEEP_WEBSOCKET_FRAME_REFUSED'))
})

test('a route has its own handshakeTimeout', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: { handshakeTimeout: 20, authenticate: () => new Promise(() => {}) } }, () => {}) })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  client.on('error', () => {}).resume()
  await once(client, 'close')
  t.match(server.log.filter(({ code }) => code === 'FST_KEEP_WEBSOCKET_HANDSHAKE_TIMEOUT'), [{ handshakeTimeout: 20 }])
})

test('a socket without messages in either direction for idleTimeout is closed with 1013; pings do not count', async t => {
  const server = await serve(t, { pingInterval: 100 }, app => {
    app.get('/', { websocket: { idleTimeout: 800 } }, socket => { socket.subscribe('news') })
  })
  const listening = await open(t, server, '/')
  const idle = await open(t, server, '/')
  const timer = setInterval(() => server.app.websocket.publish('news', 'hello'), 20)
  t.teardown(() => clearInterval(timer))
  const last = [...server.app.websocket.subscribers('news')].at(-1)
  last?.unsubscribe('news')
  t.same(await closing(idle), { code: 1013, reason: 'idle; retry-after=1' })
  t.equal(listening.readyState, listening.OPEN)
  t.ok(codesOf(server).includes('FST_KEEP_WEBSOCKET_IDLE'))
})

test('a socket is closed with 1013 at the end of its lifetime, busy or not', async t => {
  const server = await serve(t, { lifetime: 100, maxMessagesPerSecond: 0 }, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(data)) })
  })
  const client = await open(t, server, '/')
  client.on('message', () => client.send('again')).send('once')
  t.same(await closing(client), { code: 1013, reason: 'end of its lifetime; retry-after=1' })
  t.ok(codesOf(server).includes('FST_KEEP_WEBSOCKET_LIFETIME'))
})

test('what comes before an async handler is ready is kept up to maxPendingMessages of the route', async t => {
  const ready = deferred<void>()
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: { maxPendingMessages: 2 } }, async socket => {
      await ready.promise
      socket.on('message', data => socket.send(data))
    })
  })
  const client = await open(t, server, '/')
  for (const text of ['one', 'two', 'three']) client.send(text)
  t.match(await closing(client), { code: 1008 })
  ready.resolve()
})
