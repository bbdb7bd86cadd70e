import { on, once } from 'node:events'
import { test, type Test } from 'tap'
import { WebSocket } from 'ws'
import type { SigningKey, WebSocketPluginOptions, WebSocketRouteOptions } from '@fastkeep/websocket'
import { keyRing, Signing } from '../../packages/websocket/src/signing.js'
import { closing, nextText, open, serve, type ServerUnderTest } from './server-under-test.js'

const keys: SigningKey[] = [{ id: 'new', secret: 'n'.repeat(32) }, { id: 'old', secret: Buffer.alloc(32, 7) }]

async function signed (t: Test, route: WebSocketRouteOptions = {}, options: WebSocketPluginOptions = {}): Promise<ServerUnderTest> {
  return await serve(t, { handshakeTimeout: 60_000, ...options }, app => {
    app.get('/', { websocket: { signing: { keys }, ...route } }, socket => {
      socket.subscribe('news')
      socket.on('message', (data, isBinary) => { socket.send(data, { binary: isBinary }) })
    })
  })
}

const messagesOf = new WeakMap<WebSocket, AsyncIterator<[Buffer, boolean]>>()

async function connected (t: Test, server: ServerUnderTest): Promise<WebSocket> {
  const client = new WebSocket(`ws://${server.host}/`, { origin: server.origin })
  t.teardown(() => client.terminate())
  messagesOf.set(client, on(client, 'message'))
  await once(client, 'open')
  return client
}

/** A client that has done its part of PROTOCOL.md, and its signing. */
async function proven (t: Test, server: ServerUnderTest, ring = keys): Promise<{ client: WebSocket, signing: Signing }> {
  const client = await connected(t, server)
  const signing = new Signing(keyRing({ keys: ring }), 'client')
  client.send(signing.hello)
  client.send(answerOf(signing.receive(await next(client), false)))
  signing.receive(await next(client), false)
  return { client, signing }
}

/** Each message in turn: the server's hello may come in one packet with its 101. */
async function next (client: WebSocket): Promise<Buffer> {
  const { value } = await messagesOf.get(client)?.next() as IteratorResult<[Buffer]>
  return (value as [Buffer])[0]
}

function answerOf (received: ReturnType<Signing['receive']>): string {
  if (!('answer' in received) || received.answer === undefined) throw new Error('an answer was expected')
  return received.answer
}

function payloadOf (received: ReturnType<Signing['receive']>): string {
  if (!('payload' in received)) throw new Error('a message was expected')
  return String(received.payload)
}

test('text and bytes are signed in both directions, and what is published too', async t => {
  const server = await signed(t)
  const { client, signing } = await proven(t, server)
  for (const [message, isBinary] of [['hello', false], [Buffer.from([0, 255]), true], ['', false], ['ü', false]] as const) {
    client.send(signing.sign(message, isBinary), { binary: isBinary })
    t.equal(payloadOf(signing.receive(await next(client), isBinary)), String(message))
  }
  const news = next(client)
  t.equal(server.app.websocket.publish('news', 'to all'), 1)
  t.equal(payloadOf(signing.receive(await news, false)), 'to all')
})

test('any key of the ring is taken, and the first one used', async t => {
  const server = await signed(t)
  const { client, signing } = await proven(t, server, keys.toReversed())
  client.send(signing.sign('by the old key', false))
  const data = await next(client)
  t.match(String(data), /^new\./)
  t.equal(payloadOf(signing.receive(data, false)), 'by the old key')
})

/** Each gets a socket that has been proven, and sends what is to be refused. */
const forgeries: Record<string, (client: WebSocket, signing: Signing, server: ServerUnderTest, t: Test) => void | Promise<void>> = {
  'a replayed message': async (client, signing) => {
    const message = signing.sign('pay', false)
    client.send(message)
    await next(client)
    client.send(message)
  },
  'a message out of order': (client, signing) => {
    signing.sign('first', false)
    client.send(signing.sign('second', false))
  },
  'a reflected message': async (client, signing) => {
    client.send(signing.sign('hello', false))
    client.send(await next(client), { binary: false })
  },
  'a message of another connection': async (client, _signing, server, t) => {
    const other = await proven(t, server)
    client.send(other.signing.sign('hello', false))
  },
  'text sent as bytes': (client, signing) => client.send(signing.sign('x'.repeat(100), false), { binary: true }),
  'a payload that was changed': (client, signing) => client.send(String(signing.sign('pay 1', false)).replace('pay 1', 'pay 9')),
  'a signature that was changed': (client, signing) => client.send(String(signing.sign('pay', false)).replace(/\.(.)/, (_, first: string) => `.${first === 'A' ? 'B' : 'A'}`)),
  'another spelling of a signature': (client, signing) => {
    const [id, mac = '', payload] = String(signing.sign('pay', false)).split('.')
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // The last character of 43 carries four bits of the MAC and two of nothing.
    client.send([id, mac.slice(0, -1) + alphabet[alphabet.indexOf(mac.at(-1) as string) ^ 1], payload].join('.'))
  },
  'another key under a known id': (client, signing) => client.send(String(signing.sign('pay', false)).replace('new', 'old')),
  'a message without a signature': client => client.send('{"type":"hello"}'),
  'bytes without a signature': client => client.send(Buffer.alloc(10)),
  'a second hello': (client, signing) => client.send(signing.hello),
}

for (const [what, forge] of Object.entries(forgeries)) {
  test(`${what} is refused with 1008 and reaches no handler`, async t => {
    const server = await signed(t)
    const { client, signing } = await proven(t, server)
    const end = closing(client)
    await forge(client, signing, server, t)
    t.match(await end, { code: 1008, reason: /^signing: / })
    t.match(server.log.find(({ code }) => code === 'FST_KEEP_WEBSOCKET_SIGNATURE_REFUSED'), { level: 40, route: 'GET /' })
    t.notMatch(JSON.stringify(server.log), 'n'.repeat(32))
  })
}

test('a wrong key is refused with 1008 before the handler has the socket', async t => {
  let calls = 0
  const server = await serve(t, {}, app => { app.get('/', { websocket: { signing: { keys } } }, () => { calls++ }) })
  for (const ring of [[{ id: 'new', secret: 'w'.repeat(32) }], [{ id: 'unknown', secret: 'n'.repeat(32) }]]) {
    const client = await connected(t, server)
    const hello = next(client)
    const signing = new Signing(keyRing({ keys: ring }), 'client')
    client.send(signing.hello)
    const end = closing(client)
    try { signing.receive(await hello, false) } catch { /* it does not know the server's key either */ }
    client.send(signing.sign('{"type":"keep.proof"}', false))
    t.match(await end, { code: 1008 })
  }
  t.equal(calls, 0)
})

test('one-sided configuration ends with 1008, whichever side it is, and silence does too', async t => {
  const server = await signed(t, { handshakeTimeout: 100 })
  const plain = await open(t, server, '/')
  plain.send('hello, I do not sign')
  t.match(await closing(plain), { code: 1008, reason: 'signing: hello expected' })
  t.match(await closing(await open(t, server, '/')), { code: 1008, reason: 'signing: nothing heard' })

  const unsigned = await serve(t, {}, app => { app.get('/', { websocket: true }, socket => { socket.on('message', () => t.fail('a message')) }) })
  const client = await open(t, unsigned, '/')
  client.send(new Signing(keyRing({ keys })).hello)
  t.match(await closing(client), { code: 1008, reason: 'signing: not configured here' })
})

test('a hello that does not come with 16 bytes of nonce is refused', async t => {
  const server = await signed(t)
  for (const hello of ['{"type":"keep.hello"}', '{"type":"keep.hello","nonce":""}', `{"type":"keep.hello","nonce":"${'A'.repeat(23)}"}`, `{"type":"keep.hello","nonce":"${'+'.repeat(22)}"}`]) {
    const client = await open(t, server, '/')
    client.send(hello)
    t.match(await closing(client), { code: 1008, reason: 'signing: hello expected' })
  }
})

test('maxPayload counts the payload without its signature', async t => {
  const server = await signed(t, { maxPayload: 100 })
  for (const isBinary of [false, true]) {
    const { client, signing } = await proven(t, server)
    client.send(signing.sign(isBinary ? Buffer.alloc(100) : 'x'.repeat(100), isBinary), { binary: isBinary })
    t.equal(payloadOf(signing.receive(await next(client), isBinary)).length, 100)
    client.send(signing.sign(isBinary ? Buffer.alloc(101) : 'x'.repeat(101), isBinary), { binary: isBinary })
    t.match(await closing(client), { code: 1009 })
  }
})

test('signed messages can be envelopes, and a route can turn the plugin\'s signing off', async t => {
  const server = await serve(t, { signing: { keys } }, app => {
    app.get('/', { websocket: { messages: { ask: { handler: () => 'answer' } } } }, () => {})
    app.get('/plain', { websocket: { signing: false } }, socket => { socket.on('message', data => socket.send(data)) })
  })
  const { client, signing } = await proven(t, server)
  client.send(signing.sign('{"type":"ask","id":1}', false))
  t.match(payloadOf(signing.receive(await next(client), false)), '{"type":"keep.reply","id":1,"data":"answer"}')
  const plain = await open(t, server, '/plain')
  plain.send('plain')
  t.equal(await nextText(plain), 'plain')
})
