import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { WebSocketServer } from 'ws'
import { connect } from '@fastkeep/websocket/client'
import { hintIn, isForGood, reconnectDelay } from '../../packages/websocket/src/client/backoff.js'
import { accepted, client, next, pageSocket, turns } from './clients.js'
import { deferred, serve } from './server-under-test.js'

test('an attempt is spread over a time that doubles with each failure, up to maxDelay', t => {
  const closed = { code: 1006, reason: '' }
  for (const [failures, most] of [[0, 500], [1, 1000], [4, 8000], [6, 30_000], [2000, 30_000]] as const) {
    const delays = Array.from({ length: 1000 }, () => reconnectDelay(closed, failures, 500, 30_000))
    t.ok(delays.every(delay => delay >= 0 && delay < most), `${failures} failures`)
    t.ok(Math.min(...delays) < most * 0.05 && Math.max(...delays) > most * 0.95, 'all of it is used')
  }
  t.end()
})

test('nobody comes back before the time that the server asked for, nor soon to one that has too much to do', t => {
  for (const [closed, least, most] of [
    [{ code: 1012, reason: '', retryAfter: 2 }, 2000, 4000],
    [{ code: 1006, reason: '', retryAfter: 0.1 }, 100, 600],
    [{ code: 1013, reason: '' }, 5000, 10_000],
    [{ code: 1013, reason: '', retryAfter: 1 }, 1000, 2000],
    [{ code: 1012, reason: '' }, 0, 500],
    // More than a timer can wait for would be no wait at all.
    [{ code: 1013, reason: '', retryAfter: 1e9 }, 2 ** 30, 2 ** 31],
  ] as const) {
    const delays = Array.from({ length: 1000 }, () => reconnectDelay(closed, 0, 500, 30_000))
    t.ok(delays.every(delay => delay >= least && delay < most), JSON.stringify(closed))
  }
  t.equal(hintIn('server restarts; retry-after=2'), 2)
  t.equal(hintIn('; retry-after=0.25'), 0.25)
  for (const reason of ['', 'retry-after=', 'retry-after=soon', 'retry-after=2 s', '; retry-after=1.2.3', '; retry-after=0']) t.equal(hintIn(reason), undefined, reason)
  t.end()
})

test('codes that say "stay away" end it, all others do not', t => {
  const reason = ''
  const final = [1000, 1002, 1003, 1007, 1008, 1009, 1010, 1015, 4400, 4401, 4403, 4499]
  const passing = [1001, 1005, 1006, 1011, 1012, 1013, 1014, 3000, 4000, 4008, 4399, 4408, 4425, 4429, 4500]
  t.same([...final, ...passing].filter(code => isForGood({ code, reason })), final)
  t.end()
})

test('a close with a code that says "stay away" is the last event, one with a hint is not', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: true }, () => {}) })
  const made = client(t, server)
  const first = await accepted(server)
  const hinted = next(made, 'close')
  const again = accepted(server)
  first.close(1012, 'server restarts; retry-after=0.01')
  t.match(await hinted, { code: 1012, reason: 'server restarts; retry-after=0.01', retryAfter: 0.01 })
  const closed = next(made, 'close')
  ;(await again).close(4401, 'session ended')
  t.match(await closed, { code: 4401, reason: 'session ended', delay: undefined })
  t.equal(made.state, 'closed')
})

test('where the constructor tells, the status and the Retry-After of a refused handshake are in the close event', async t => {
  const server = await serve(t, { maxConnections: 1 }, app => { app.get('/', { websocket: true }, () => {}) })
  await next(client(t, server), 'open')
  const { status, retryAfter = 0, delay = 0, code } = await next(client(t, server), 'close')
  t.same([status, code], [503, 1006])
  t.ok(retryAfter >= 1 && delay >= retryAfter * 1000)
})

test('a function is asked for the address before each attempt, and may fail', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: true }, (socket, request) => socket.send(request.url)) })
  let attempts = 0
  const made = connect(async () => {
    attempts++
    if (attempts === 1) throw new Error('no token')
    return new URL(`ws://${server.host}/?token=${attempts}`)
  }, { WebSocket: pageSocket(server.origin), minDelay: 1 })
  t.teardown(() => made.close())
  t.match(await next(made, 'close'), { code: 1006, reason: 'Error: no token', delay: Number })
  t.equal(await next(made, 'data'), '/?token=2')
  const data = next(made, 'data')
  for (const socket of server.app.websocketServer.clients) socket.terminate()
  t.equal(await data, '/?token=3')
})

test('isFinal decides instead, with the number of attempts in a row that failed', async t => {
  const failures: number[] = []
  const made = connect('ws://127.0.0.1:1/', {
    WebSocket: pageSocket('http://127.0.0.1'),
    minDelay: 1,
    isFinal: (closed, count) => {
      t.equal(closed.code, 1006)
      return failures.push(count) === 3
    },
  })
  await turns(() => made.state === 'closed')
  t.same(failures, [1, 2, 3])
})

test('what is wrong from the beginning is thrown', t => {
  t.throws(() => connect('not an address', { WebSocket: pageSocket('http://127.0.0.1') }), { name: 'SyntaxError' })
  const { WebSocket } = globalThis
  Reflect.deleteProperty(globalThis, 'WebSocket')
  t.teardown(() => { if (WebSocket !== undefined) globalThis.WebSocket = WebSocket })
  t.throws(() => connect('ws://127.0.0.1/'), { code: 'FST_KEEP_WEBSOCKET_CLIENT_UNSUPPORTED' })
  t.end()
})

test('a server that does not answer a handshake is left for another attempt', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true, preHandler: () => new Promise(() => {}) }, () => {})
  })
  t.match(await next(client(t, server, '/', { handshakeTimeout: 20 }), 'close'), { code: 1006, reason: 'no handshake', delay: Number })
})

test('a client with subscriptions notices that the server is silent, and that it is not', async t => {
  const silent = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => silent.close())
  const asked = deferred<string>()
  silent.on('connection', socket => socket.on('message', data => {
    const { type, id } = JSON.parse(String(data))
    if (type === 'keep.subscribe') socket.send(JSON.stringify({ type: 'keep.reply', id }))
    else asked.resolve(type)
  }))
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const left = client(t, { host: `127.0.0.1:${port}`, origin: '' }, '/', { heartbeat: 10, timeout: 50 })
  left.subscribe('news', () => {})
  const closed = next(left, 'close')
  t.equal(await asked.promise, 'keep.ping')
  t.match(await closed, { code: 1006, reason: 'no answer', delay: Number })
  left.close()

  const server = await serve(t, {}, app => {
    app.get('/', { websocket: { messages: { say: { handler: data => data } }, topics: { authorize: () => true } } }, () => {})
  })
  let pings = 0
  class Counting extends pageSocket(server.origin) {
    override send (data: string): void {
      if (data.includes('keep.ping')) pings++
      super.send(data)
    }
  }
  const stays = client(t, server, '/', { heartbeat: 20, WebSocket: Counting })
  const forget = stays.on('close', () => t.fail('the server does answer'))
  stays.on('error', ({ message }) => t.fail(message))
  stays.subscribe('news', () => {})
  await turns(() => pings === 3)
  t.equal(await stays.request('say', 'still here'), 'still here')
  forget()
})
