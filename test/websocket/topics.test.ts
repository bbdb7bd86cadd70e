import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { closing, deferred, nextText, open, serve } from './server-under-test.js'
import type { GuardedWebSocket } from '@fastkeep/websocket'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** A route where a client subscribes and unsubscribes by message: `+topic`, `-topic`; each is answered. */
const rooms = (app: FastifyInstance) => {
  app.get('/', { websocket: true }, socket => {
    socket.on('message', data => {
      const text = String(data)
      if (text.startsWith('+')) socket.subscribe(text.slice(1))
      else socket.unsubscribe(text.slice(1))
      socket.send('done')
    })
  })
}

async function ask (client: Awaited<ReturnType<typeof open>>, text: string): Promise<void> {
  const answer = nextText(client)
  client.send(text)
  await answer
}

test('what is published to a topic reaches those who subscribed to it and nobody else', async t => {
  const server = await serve(t, {}, rooms)
  const [a, b, c] = await Promise.all([open(t, server, '/'), open(t, server, '/'), open(t, server, '/')])
  await ask(a, '+news')
  await ask(b, '+news')
  await ask(c, '+sport')
  const answers = Promise.all([nextText(a), nextText(b), nextText(c)])
  t.equal(server.app.websocket.publish('news', 'hello'), 2)
  t.equal(server.app.websocket.publish('sport', 'goal'), 1)
  t.equal(server.app.websocket.publish('weather', 'rain'), 0)
  t.same(await answers, ['hello', 'hello', 'goal'])
})

test('a string goes as text and bytes go as binary', async t => {
  const server = await serve(t, {}, rooms)
  const client = await open(t, server, '/')
  await ask(client, '+news')
  for (const [message, isBinary] of [['grüß dich', false], [Buffer.from([0, 255]), true], [new Uint8Array([1, 2]), true], ['', false]] as const) {
    const received = once(client, 'message')
    server.app.websocket.publish('news', message)
    const [data, flag] = await received
    t.equal(flag, isBinary)
    t.same(data, Buffer.from(message))
  }
})

test('any other value goes as its JSON text, and what JSON cannot carry is refused, with or without subscribers', async t => {
  const server = await serve(t, {}, rooms)
  const { publish } = server.app.websocket
  const circular: unknown[] = []
  circular.push(circular)
  for (const message of [undefined, () => {}, Symbol('s'), 7n, circular, new ArrayBuffer(2), new Uint16Array(2)]) {
    t.throws(() => publish('news', message), { code: 'FST_KEEP_WEBSOCKET_MESSAGE_INVALID' })
  }
  const client = await open(t, server, '/')
  await ask(client, '+news')
  for (const message of [{ text: 'hello' }, ['a'], 7, null, false]) {
    const received = once(client, 'message')
    publish('news', message)
    const [data, isBinary] = await received
    t.equal(isBinary, false)
    t.same(JSON.parse(String(data)), message)
  }
})

test('a topic is a string of 1 to 256 characters without wildcards', async t => {
  const { app } = await serve(t, {}, rooms)
  for (const topic of ['', 'a*', '#', 'a/+/b', 'x'.repeat(257), undefined, null, 7, ['a']]) {
    t.throws(() => app.websocket.publish(topic as string, 'x'), { code: 'FST_KEEP_WEBSOCKET_TOPIC_INVALID' }, String(topic))
    t.throws(() => app.websocket.subscribers(topic as string), { code: 'FST_KEEP_WEBSOCKET_TOPIC_INVALID' })
  }
  t.equal(app.websocket.publish('x'.repeat(256), 'x'), 0)
  t.equal(app.websocket.publish('__proto__', 'x'), 0)
})

test('a handler that subscribes to no topic by that name is told so', async t => {
  const error = deferred<unknown>()
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      for (const change of ['subscribe', 'unsubscribe'] as const) {
        try { socket[change]('a*') } catch (thrown) { error.resolve(thrown) }
      }
    })
  })
  await open(t, server, '/')
  t.match(await error.promise, { code: 'FST_KEEP_WEBSOCKET_TOPIC_INVALID' })
})

test('who unsubscribes gets no more, and subscribing twice counts once', async t => {
  const server = await serve(t, {}, rooms)
  const client = await open(t, server, '/')
  await ask(client, '+news')
  await ask(client, '+news')
  t.equal(server.app.websocket.publish('news', 'x'), 1)
  await ask(client, '-news')
  await ask(client, '-news')
  await ask(client, '-never')
  t.equal(server.app.websocket.publish('news', 'x'), 0)
})

test('a closed socket leaves its topics by itself and cannot subscribe again', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      socket.subscribe('news')
      socket.subscribe('sport')
      socket.on('close', () => {
        t.equal(server.app.websocket.subscribers('news').size, 0)
        t.equal(server.app.websocket.subscribers('sport').size, 0)
        socket.subscribe('news')
        sockets.push(new WeakRef(socket))
      })
    })
  })
  const sockets: Array<WeakRef<GuardedWebSocket>> = []
  const client = await open(t, server, '/')
  t.equal(server.app.websocket.subscribers('news').size, 1)
  client.terminate()
  while (sockets.length === 0) await new Promise(setImmediate)
  t.equal(server.app.websocket.subscribers('news').size, 0)
  for (let round = 0; round < 100 && sockets[0]?.deref() !== undefined; round++) {
    await new Promise(setImmediate)
    collectGarbage()
  }
  t.equal(sockets[0]?.deref(), undefined, 'nothing holds it in memory')
})

test('a socket that is closing is no subscriber any more', async t => {
  const sockets: GuardedWebSocket[] = []
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      sockets.push(socket)
      socket.subscribe('news')
    })
  })
  const client = await open(t, server, '/')
  client.pause()
  sockets[0]?.close()
  t.equal(server.app.websocket.subscribers('news').size, 0)
  t.equal(server.app.websocket.publish('news', 'x'), 0)
})

test('the subscribers of a topic are its sockets, with their peers, as they were when asked', async t => {
  const server = await serve(t, { authenticate: request => request.headers.authorization }, app => {
    app.get('/', { websocket: true }, socket => { socket.subscribe('room') })
  })
  await open(t, server, '/', { headers: { authorization: 'ada' } })
  const before = server.app.websocket.subscribers('room')
  await open(t, server, '/', { headers: { authorization: 'grace' } })
  t.same([...server.app.websocket.subscribers('room')].map(socket => socket.peer), ['ada', 'grace'])
  t.equal(before.size, 1)
})

test('a subscriber that does not read is closed with 1013, and the others go on', async t => {
  const sockets: GuardedWebSocket[] = []
  const server = await serve(t, { maxBufferedBytes: 65_536 }, app => {
    app.get('/', { websocket: true }, socket => {
      sockets.push(socket)
      socket.subscribe('news')
    })
  })
  const slow = await open(t, server, '/')
  const quick = await open(t, server, '/')
  slow.pause()
  const message = 'x'.repeat(1024 * 1024)
  let most = 0
  for (;;) {
    const arrived = nextText(quick)
    const count = server.app.websocket.publish('news', message)
    await arrived
    if (count === 1) break
    t.equal(count, 2)
    most = Math.max(most, sockets[0]?.bufferedAmount ?? 0)
  }
  t.ok(most <= 65_536 + message.length + 16, `at most the mark and one message wait, was ${most}`)
  const end = closing(slow)
  slow.resume()
  t.same(await end, { code: 1013, reason: 'too slow' })
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_SLOW_READER'), [{ closeCode: 1013 }])
  const arrived = nextText(quick)
  t.equal(server.app.websocket.publish('news', 'on we go'), 1)
  t.equal(await arrived, 'on we go')
})

test('a subscriber that never reads again is cut after closeDeadline', async t => {
  const closed = deferred<void>()
  const server = await serve(t, { maxBufferedBytes: 1, closeDeadline: 20 }, app => {
    app.get('/', { websocket: true }, socket => {
      socket.subscribe('news')
      socket.on('close', () => closed.resolve())
    })
  })
  const client = await open(t, server, '/')
  client.pause()
  while (server.app.websocket.publish('news', 'x'.repeat(1024 * 1024)) === 1) await new Promise(setImmediate)
  await closed.promise
  t.equal(server.app.websocketServer.clients.size, 0)
})

test('a key is a string of 1 to 256 characters', async t => {
  const { app } = await serve(t, {}, rooms)
  for (const key of ['', 'x'.repeat(257), null, 7]) {
    t.throws(() => app.websocket.publish('news', 'x', { key: key as string }), { code: 'FST_KEEP_WEBSOCKET_KEY_INVALID' })
  }
  t.equal(app.websocket.publish('news', 'x', { key: 'x'.repeat(256) }), 0)
})
