import { test } from 'tap'
import { WebSocket } from 'ws'
import { closing, deferred, open, serve } from './server-under-test.js'

test('a drain closes a socket once the messages that have come are answered, and reads no more of them', async t => {
  const asked = deferred<void>()
  const answer = deferred<string>()
  const taken: unknown[] = []
  const server = await serve(t, { closeDeadline: 60_000 }, app => {
    app.get('/', {
      websocket: {
        maxPendingMessages: 1,
        messages: {
          slow: { handler: () => { asked.resolve(); return answer.promise } },
          next: { handler: data => { taken.push(data); return data } },
        },
      },
    }, () => {})
  })
  const client = await open(t, server, '/')
  const received: unknown[] = []
  client.on('message', data => received.push(JSON.parse(String(data))))
  const end = closing(client)
  client.send('{"type":"slow","id":1}')
  client.send('{"type":"next","id":2,"data":"two"}')
  await asked.promise
  const [socket] = server.app.websocketServer.clients
  // Both have been read: the second waits for the first.
  while (socket?.isPaused !== true) await new Promise(setImmediate)
  const drained = server.app.websocket.drain()
  await new Promise(setImmediate)
  t.equal(socket.readyState, WebSocket.OPEN)
  answer.resolve('done')
  t.match(await end, { code: 1001 })
  t.same(received, [{ type: 'keep.reply', id: 1, data: 'done' }, { type: 'keep.reply', id: 2, data: 'two' }])
  t.same(taken, ['two'])
  await drained
})

test('a message that is never answered holds a drain no longer than closeDeadline', async t => {
  const asked = deferred<void>()
  const server = await serve(t, { closeDeadline: 50 }, app => {
    app.get('/', { websocket: { messages: { never: { handler: () => { asked.resolve(); return new Promise(() => {}) } } } } }, () => {})
  })
  const client = await open(t, server, '/')
  const end = closing(client)
  client.send('{"type":"never","id":1}')
  await asked.promise
  await server.app.close()
  t.match(await end, { code: 1001 })
})

test('messages that came before the handler was ready are answered before a drain closes their socket', async t => {
  const called = deferred<void>()
  const ready = deferred<void>()
  const server = await serve(t, { closeDeadline: 60_000 }, app => {
    app.get('/', { websocket: { messages: { echo: { handler: data => data } } } }, () => { called.resolve(); return ready.promise })
  })
  const client = await open(t, server, '/')
  const received: unknown[] = []
  client.on('message', data => received.push(JSON.parse(String(data))))
  const end = closing(client)
  await called.promise
  client.send('{"type":"echo","id":1,"data":"early"}')
  while (server.app.websocket.statistics()['GET /']?.pending !== 1) await new Promise(setImmediate)
  const drained = server.app.websocket.drain()
  await new Promise(setImmediate)
  ready.resolve()
  t.match(await end, { code: 1001 })
  t.same(received, [{ type: 'keep.reply', id: 1, data: 'early' }])
  await drained
})

for (const [option, reason] of [['lifetime', 'end of its lifetime'], ['idleTimeout', 'idle']] as const) {
  test(`a socket that is closed by its ${option} is answered first`, async t => {
    const answer = deferred<string>()
    const server = await serve(t, { [option]: 100 }, app => {
      app.get('/', { websocket: { messages: { slow: { handler: () => answer.promise } } } }, () => {})
    })
    const client = await open(t, server, '/')
    const received: unknown[] = []
    client.on('message', data => received.push(JSON.parse(String(data))))
    const end = closing(client)
    client.send('{"type":"slow","id":1}')
    const [socket] = server.app.websocketServer.clients
    while (socket?.isPaused !== true) await new Promise(setImmediate)
    t.equal(socket.readyState, WebSocket.OPEN)
    answer.resolve('done')
    t.same(await end, { code: 1013, reason: `${reason}; retry-after=1` })
    t.same(received, [{ type: 'keep.reply', id: 1, data: 'done' }])
  })
}

test('what is on its way to a socket that is closed for its age is taken still', async t => {
  const taken = deferred<unknown>()
  const server = await serve(t, { lifetime: 100, closeDeadline: 60_000 }, app => {
    app.get('/', { websocket: { messages: { note: { handler: data => taken.resolve(data) } } } }, () => {})
  })
  const client = await open(t, server, '/')
  client.pause()
  const [socket] = server.app.websocketServer.clients
  while (socket?.readyState !== WebSocket.CLOSING) await new Promise(setImmediate)
  client.send('{"type":"note","data":"late"}')
  t.equal(await taken.promise, 'late')
  client.resume()
  t.match(await closing(client), { code: 1013 })
})

test('messages that are never answered keep no socket beyond its lifetime for longer than replyTimeout', async t => {
  const server = await serve(t, {}, app => {
    const never = { handler: () => new Promise(() => {}) }
    app.get('/', { websocket: { lifetime: 100, replyTimeout: 300, maxPendingMessages: 1, messages: { never } } }, () => {})
  })
  const client = await open(t, server, '/')
  let answers = 0
  client.on('message', () => answers++)
  const end = closing(client)
  for (let id = 1; id <= 10; id++) client.send(`{"type":"never","id":${id}}`)
  t.match(await end, { code: 1013 })
  t.ok(answers < 10, `${answers} of 10 answered, one after the other`)
})

test('of many clients those told first are asked to stay away until the window is over, the last ones for no longer', async t => {
  const server = await serve(t, { drainWindow: 400, closeDeadline: 60_000 }, app => { app.get('/', { websocket: true }, () => {}) })
  const clients = await Promise.all(Array.from({ length: 100 }, () => open(t, server, '/')))
  const ends = Promise.all(clients.map(closing))
  await server.app.close()
  const hints = (await ends).map(({ reason }) => Number(/^server is shutting down(?:; retry-after=(0\.\d))?$/.exec(reason)?.[1] ?? 0))
  t.equal(Math.max(...hints), 0.4)
  t.equal(Math.min(...hints), 0)
  t.ok(new Set(hints).size >= 4, 'in between the others')
})

test('clients that are told all at once are asked to spread their return', async t => {
  const server = await serve(t, { drainWindow: 60_000, closeDeadline: 60_000 }, app => { app.get('/', { websocket: true }, () => {}) })
  const clients = await Promise.all(Array.from({ length: 100 }, () => open(t, server, '/')))
  const ends = Promise.all(clients.map(closing))
  await server.app.websocket.drain(AbortSignal.abort())
  t.equal((await ends).filter(({ reason }) => /; retry-after=0\.5$/.test(reason)).length, 100)
})
