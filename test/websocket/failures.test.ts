import { errorMonitor, once } from 'node:events'
import { test } from 'tap'
import { WebSocket } from 'ws'
import type { GuardedWebSocket } from '@fastkeep/websocket'
import { closing, deferred, frame, malformedFrame, nextText, open, received, sendHandshake, serve } from './server-under-test.js'

// ws types its listeners as if nobody ever gave it an async one.
const rejecting: () => unknown = () => Promise.reject(new Error('secret'))

const failures: Record<string, (socket: GuardedWebSocket) => void | Promise<void>> = {
  'a handler that throws': () => { throw new Error('secret') },
  'a handler that rejects': async () => { throw new Error('secret') },
  'a message listener that throws': socket => { socket.on('message', () => { throw new Error('secret') }) },
  'a message listener that rejects': socket => { socket.on('message', rejecting) },
  'a message listener that rejects with an early message': async socket => {
    await once(socket, 'ping')
    socket.on('message', rejecting)
  },
  'a ping listener that throws': socket => { socket.on('ping', () => { throw new Error('secret') }) },
  'onmessage that throws': socket => { socket.onmessage = () => { throw new Error('secret') } },
}

for (const [what, handler] of Object.entries(failures)) {
  test(`${what} closes its socket with 1011, is logged, and hurts nobody else`, async t => {
    const server = await serve(t, {}, app => {
      app.get('/', { websocket: true }, handler)
      app.get('/other', { websocket: true }, socket => { socket.on('message', data => socket.send(String(data))) })
    })
    const other = await open(t, server, '/other')
    const client = new WebSocket(`ws://${server.host}/`, { origin: server.origin })
    client.on('open', () => {
      client.send('hello')
      client.ping()
    })
    t.same(await closing(client), { code: 1011, reason: 'internal error' })
    t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_HANDLER_FAILED'), [{ level: 50, closeCode: 1011, err: { message: 'secret' } }])
    other.send('still there')
    t.equal(await nextText(other), 'still there')
  })
}

test('a close listener that rejects is logged', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => { socket.on('close', rejecting) })
  })
  const client = await open(t, server, '/')
  client.close()
  await once(client, 'close')
  await server.app.close()
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_HANDLER_FAILED'), [{ err: { message: 'secret' } }])
})

test('after a failure no further message is delivered', async t => {
  let delivered = 0
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      socket.on('message', () => {
        delivered++
        throw new Error('no')
      })
    })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  await received(client, /\r\n\r\n/)
  client.write(Buffer.concat([frame(1, 'a'), frame(1, 'b'), frame(1, 'c')]))
  await received(client, /\x88/)
  t.equal(delivered, 1)
})

for (const [how, listener] of Object.entries({ throws: () => { throw new Error('secret') }, rejects: rejecting })) {
  test(`an error listener that ${how} is logged, the malformed frame closes with its own code, and nobody else is hurt`, async t => {
    const codes: unknown[] = []
    const server = await serve(t, {}, app => {
      app.get('/', { websocket: true }, socket => {
        socket.on(errorMonitor, error => codes.push((error as { code?: unknown }).code))
        socket.on('error', listener)
      })
      app.get('/other', { websocket: true }, socket => { socket.on('message', data => socket.send(String(data))) })
    })
    const other = await open(t, server, '/other')
    const client = sendHandshake(server.port, '/', { Origin: server.origin })
    t.teardown(() => client.destroy())
    await received(client, /\r\n\r\n/)
    client.write(malformedFrame)
    t.match(await received(client, /\x88\x02../), '\x88\x02\x03\xea') // eslint-disable-line no-control-regex
    other.send('still there')
    t.equal(await nextText(other), 'still there')
    t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_HANDLER_FAILED'), [{ level: 50, closeCode: undefined, err: { message: 'secret' } }])
    t.equal(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_FRAME_REFUSED').length, 1)
    t.same(codes, ['WS_ERR_EXPECTED_MASK'])
  })
}

test('after a failure neither the messages that were held nor further listeners get anything', async t => {
  const ready = deferred<void>()
  const delivered: string[] = []
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      await ready.promise
      socket.on('message', data => {
        delivered.push(`first ${String(data)}`)
        throw new Error('no')
      })
      socket.on('message', data => delivered.push(`second ${String(data)}`))
    })
  })
  const client = await open(t, server, '/')
  client.send('a')
  client.send('b')
  client.ping()
  await once(client, 'pong')
  ready.resolve()
  t.match(await closing(client), { code: 1011 })
  t.same(delivered, ['first a'])
})

test('messages that were held when a listener failed are gone, and more of them are no second reason to close', async t => {
  const failed = deferred<void>()
  let delivered = 0
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      socket.once('ping', () => { throw new Error('no') })
      await failed.promise
      socket.on('message', () => { delivered++ })
    })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  await received(client, /\r\n\r\n/)
  client.write(Buffer.concat([frame(1, 'held'), frame(9, ''), ...Array<Buffer>(17).fill(frame(1, 'late'))]))
  await received(client, /\x88/)
  failed.resolve()
  await server.app.close()
  t.equal(delivered, 0)
  t.same(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_EARLY_MESSAGES'), [])
})

test('all close listeners are called though one fails', async t => {
  const ended = deferred<void>()
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      socket.on('close', () => { throw new Error('no') })
      socket.on('close', () => ended.resolve())
    })
  })
  const client = await open(t, server, '/')
  client.close()
  await t.resolves(ended.promise)
})
