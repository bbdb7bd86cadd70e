import { once } from 'node:events'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { closing, deferred, frame, malformedFrame, nextText, open, received, sendHandshake, serve } from './server-under-test.js'

test('messages that come while an async handler is not ready are delivered in order, text as text and bytes as bytes', async t => {
  const ready = deferred<void>()
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      await ready.promise
      socket.on('message', (data, isBinary) => { socket.send(`${String(data)} ${isBinary}`) })
    })
  })
  const client = await open(t, server, '/')
  client.send('one')
  client.send(Buffer.from('two'))
  client.send('three')
  client.ping()
  await once(client, 'pong')
  const answers: string[] = []
  client.on('message', data => answers.push(String(data)))
  ready.resolve()
  while (answers.length < 4) {
    await once(client, 'message')
    if (answers.length === 3) client.send('four')
  }
  t.same(answers, ['one false', 'two true', 'three false', 'four false'])
})

test('a message in the same packet as the handshake reaches the handler', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      await new Promise(setImmediate)
      socket.on('message', data => socket.send(`got ${String(data)}`))
    })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  client.write(frame(1, 'at once'))
  t.match(await received(client, /got at once/), /101 Switching/)
})

test('a handler may await its messages', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      const [first] = await once(socket, 'message')
      const [second] = await once(socket, 'message')
      socket.send(`${first} ${second}`)
    })
  })
  const client = await open(t, server, '/')
  client.send('one')
  const answer = nextText(client)
  client.ping()
  await once(client, 'pong')
  client.send('two')
  t.equal(await answer, 'one two')
})

test('a handler that waits for the close and never listens sees the close', async t => {
  const ended = deferred<number>()
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      const [code] = await once(socket, 'close')
      ended.resolve(code as number)
    })
  })
  const client = await open(t, server, '/')
  client.send('nobody listens')
  client.close(4000)
  t.equal(await ended.promise, 4000)
})

test('more than 16 early messages close the socket with 1008', async t => {
  const ready = deferred<void>()
  let delivered = 0
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, async socket => {
      await ready.promise
      socket.on('message', () => { delivered++ })
    })
  })
  const client = await open(t, server, '/')
  for (let count = 0; count < 17; count++) client.send('x')
  t.match(await closing(client), { code: 1008 })
  ready.resolve()
  await new Promise(setImmediate)
  t.equal(delivered, 0)
  t.ok(server.log.some(line => line.code === 'FST_KEEP_WEBSOCKET_EARLY_MESSAGES'))
})

test('16 early messages of maxPayload bytes in all are kept, one byte more closes the socket', async t => {
  const ready = deferred<void>()
  const server = await serve(t, { maxPayload: 160 }, app => {
    app.get('/', { websocket: true }, async socket => {
      await ready.promise
      let bytes = 0
      socket.on('message', data => {
        bytes += (data as Buffer).length
        if (bytes === 160) socket.send('all 160')
      })
    })
  })
  const within = await open(t, server, '/')
  const beyond = await open(t, server, '/')
  for (let count = 0; count < 15; count++) {
    within.send('0123456789')
    beyond.send('0123456789')
  }
  within.send('0123456789')
  beyond.send('0123456789x')
  t.match(await closing(beyond), { code: 1008 })
  within.ping()
  await once(within, 'pong')
  const answer = nextText(within)
  ready.resolve()
  t.equal(await answer, 'all 160')
})

test('once the handler has returned, a message that nobody listens to is dropped and closes nothing', async t => {
  const server = await serve(t, {}, app => { app.get('/', { websocket: true }, () => {}) })
  const client = await open(t, server, '/')
  for (let count = 0; count < 40; count++) client.send('x')
  client.ping()
  await once(client, 'pong')
  t.equal(client.readyState, WebSocket.OPEN)
})

test('a message larger than maxPayload closes with 1009, one of just that size does not', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(String((data as Buffer).length))) })
  })
  const client = await open(t, server, '/')
  client.send(Buffer.alloc(65_536))
  t.equal(await nextText(client), '65536')
  client.send(Buffer.alloc(65_537))
  t.match(await closing(client), { code: 1009 })
  t.match(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_FRAME_REFUSED'), [{ err: { code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' } }])
})

test('a message in fragments that is larger than maxPayload closes with 1009 before it is complete', async t => {
  const server = await serve(t, { maxPayload: 100 }, app => { app.get('/', { websocket: true }, () => {}) })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  await received(client, /\r\n\r\n/)
  client.write(frame(1, 'x'.repeat(60), { fin: false }))
  client.write(frame(0, 'x'.repeat(60), { fin: false }))
  t.match(await received(client, /\x88\x02/), '\x88\x02\x03\xf1') // eslint-disable-line no-control-regex
})

test('malformed frames close with the code of RFC 6455 and the server lives on', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(`echo ${String(data)}`)) })
  })
  const malformed: Array<[string, Buffer, number]> = [
    ['unmasked', malformedFrame, 1002],
    ['reserved bit', frame(1, 'x', { rsv: 0x40 }), 1002],
    ['reserved opcode', frame(3, 'x'), 1002],
    ['continuation without a start', frame(0, 'x'), 1002],
    ['fragmented ping', frame(9, 'x', { fin: false }), 1002],
    ['bad UTF-8', frame(1, Buffer.from([0xc3, 0x28])), 1007],
    ['close code 1005', frame(8, Buffer.from([0x03, 0xed])), 1002],
  ]
  for (const [what, bytes, code] of malformed) {
    const client = sendHandshake(server.port, '/', { Origin: server.origin })
    t.teardown(() => client.destroy())
    await received(client, /\r\n\r\n/)
    client.write(bytes)
    const answer = Buffer.from(await received(client, /\x88\x02../), 'latin1') // eslint-disable-line no-control-regex
    t.equal(answer.readUInt16BE(answer.indexOf('\x88\x02', 'latin1') + 2), code, what)
  }
  const client = await open(t, server, '/')
  client.send('still there')
  t.equal(await nextText(client), 'echo still there')
})

test('a peer that sent a malformed frame and stays is cut after closeDeadline', async t => {
  const ended = deferred<void>()
  const server = await serve(t, { closeDeadline: 20 }, app => {
    app.get('/', { websocket: true }, socket => { socket.on('close', () => ended.resolve()) })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  client.allowHalfOpen = true
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  await received(client, /\r\n\r\n/)
  client.pause()
  client.write(malformedFrame)
  await ended.promise
})

test('listeners can be taken off and once means once', async t => {
  const server = await serve(t, {}, app => {
    app.get('/', { websocket: true }, socket => {
      const first = () => socket.send('first')
      socket.on('message', first)
      socket.once('message', () => {
        socket.send('once')
        socket.off('message', first)
      })
      socket.on('message', () => socket.send('always'))
    })
  })
  const client = await open(t, server, '/')
  const answers: string[] = []
  client.on('message', data => answers.push(String(data)))
  client.send('1')
  client.send('2')
  while (answers.length < 4) await once(client, 'message')
  t.same(answers, ['first', 'once', 'always', 'always'])
})
