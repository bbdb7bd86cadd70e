import { once } from 'node:events'
import { test, type Test } from 'tap'
import { connect, type Client, type ClientOptions } from '@fastkeep/websocket/client'
import type { WebSocketRouteOptions } from '@fastkeep/websocket'
import { accepted, client, next } from './clients.js'
import { serve, type ServerUnderTest } from './server-under-test.js'

const one = { id: 'one', secret: 'a secret of the first key, 32 bytes at least' }
const two = { id: 'two', secret: Uint8Array.from({ length: 32 }, (_, index) => index) }

/** A server that echoes binary messages too, and a client; each signs as it is told. */
async function pair (t: Test, route: WebSocketRouteOptions, options: ClientOptions): Promise<{ made: Client, server: ServerUnderTest }> {
  const server = await serve(t, {}, app => {
    app.get('/', {
      websocket: { messages: { say: { handler: data => ({ said: data }) } }, topics: { authorize: () => true }, ...route },
    }, socket => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
  })
  return { server, made: client(t, server, '/', options) }
}

test('a client and a server with the same key have requests, topics and bytes signed both ways', async t => {
  const { made, server } = await pair(t, { signing: { keys: [one] } }, { signing: { keys: [one] } })
  const [subscribed, heard] = [next(made, 'subscribed'), new Promise(resolve => made.subscribe('news', resolve))]
  t.same(await Promise.all(Array.from({ length: 20 }, (_, n) => made.request('say', `ümlaut ${n}`))), Array.from({ length: 20 }, (_, n) => ({ said: `ümlaut ${n}` })))
  await subscribed
  server.app.websocket.publish('news', { n: 1 })
  t.same(await heard, { n: 1 })

  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index)
  const echoed = next(made, 'data')
  made.sendRaw(bytes)
  bytes.fill(0)
  t.same(new Uint8Array(await echoed as ArrayBuffer), Uint8Array.from({ length: 300 }, (_, index) => index), 'as they were when they were sent')
})

test('a key is changed without a moment of refusals', async t => {
  for (const [there, here] of [[[one, two], [one]], [[one, two], [two, one]], [[two, one], [one, two]], [[two], [two, one]]]) {
    const { made } = await pair(t, { signing: { keys: there! } }, { signing: { keys: here! } })
    t.same(await made.request('say', 1), { said: 1 }, `${there!.map(({ id }) => id)} and ${here!.map(({ id }) => id)}`)
  }
})

test('each connection is signed anew', async t => {
  const { made, server } = await pair(t, { signing: { keys: [one] } }, { signing: { keys: [one] } })
  await made.request('say', 1)
  const closed = next(made, 'close')
  for (const socket of server.app.websocketServer.clients) socket.terminate()
  await closed
  t.same(await made.request('say', 2), { said: 2 })
})

test('a client with another secret, or of an unknown key, gets nothing across', async t => {
  for (const key of [{ id: 'one', secret: 'another secret, of 32 bytes at the least' }, two]) {
    const { made, server } = await pair(t, { signing: { keys: [one] } }, { signing: { keys: [key] } })
    const refused = t.rejects(made.request('say', 1), { code: 'FST_KEEP_WEBSOCKET_CLIENT_CLOSED' })
    const closed = accepted(server).then(socket => once(socket, 'close'))
    const { code } = await next(made, 'close')
    t.ok([1008, 4008].includes(code), `closed with ${code}`)
    t.ok([1008, 4008].includes((await closed)[0] as number))
    made.close()
    await refused
  }
})

test('where only one side signs, the socket is closed, and says why', async t => {
  const signs = await pair(t, {}, { signing: { keys: [one] } })
  t.match(await next(signs.made, 'close'), { code: 1008, delay: undefined })

  const doesNot = await pair(t, { signing: { keys: [one] } }, {})
  t.match(await next(doesNot.made, 'close'), { code: 4008, reason: 'the server signs' })
})

test('a server that sends something else than it signed is closed with 4008', async t => {
  const { made, server } = await pair(t, { signing: { keys: [one] } }, { signing: { keys: [one] } })
  const socket = await accepted(server)
  await made.request('say', 1)
  made.on('message', () => t.fail('it is not to be believed'))
  const closed = next(made, 'close')
  const send = Object.getPrototypeOf(Object.getPrototypeOf(socket)).send as (data: string) => void
  send.call(socket, `one.${'A'.repeat(43)}.{"type":"forged"}`)
  t.match(await closed, { code: 4008, reason: 'wrong signature', delay: Number })
})

test('no key at all is refused at once', t => {
  t.throws(() => connect('ws://127.0.0.1:1/', { signing: { keys: [] } }))
  t.end()
})
