import { once } from 'node:events'
import { test, type Test } from 'tap'
import { WebSocket } from 'ws'
import { workersBroker } from '../../packages/websocket/src/brokers/workers.js'
import { runNode } from '../child.ts'

interface Client {
  socket: WebSocket
  /** Of the worker. */
  pid: string
  received: Array<string | Buffer>
}

async function connect (t: Test, port: string): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  t.teardown(() => socket.terminate())
  const [greeting] = await once(socket, 'message')
  const received: Array<string | Buffer> = []
  socket.on('message', (data: Buffer, isBinary) => received.push(isBinary ? data : String(data)))
  return { socket, pid: String(greeting), received }
}

/** A client of each of the two workers of a supervisor. */
async function oneOfEach (t: Test): Promise<[Client, Client]> {
  const supervisor = runNode(t, new URL('fixtures/supervisor.js', import.meta.url))
  const [, port = ''] = await supervisor.match(/http:\/\/127\.0\.0\.1:(\d+)/)
  await supervisor.match(/STARTED/)
  const first = await connect(t, port)
  for (;;) {
    const other = await connect(t, port)
    if (other.pid !== first.pid) return [first, other]
    other.socket.terminate()
  }
}

test('what is published in one worker of a supervisor reaches the sockets of all, once each and in order', async t => {
  const [a, b] = await oneOfEach(t)
  const texts = Array.from({ length: 100 }, (_, n) => `grüß dich ${n}`)
  for (const text of texts) a.socket.send(text)
  while (b.received.length < texts.length) await once(b.socket, 'message')
  t.same(b.received, texts.map(text => JSON.stringify({ text })))
  while (a.received.length < texts.length) await once(a.socket, 'message')
  t.same(a.received, b.received)

  const bytes = Buffer.from([0, 1, 128, 255])
  b.socket.send(bytes)
  await once(a.socket, 'message')
  t.same(a.received.at(-1), bytes)

  const large = Buffer.alloc(4 * 1024 * 1024)
  const arrived = once(a.socket, 'message')
  a.socket.send(large)
  t.same((await arrived)[0], large, 'what is too large for the channel is delivered where it was published')
  b.socket.send('and the workers go on')
  while (!a.received.includes('{"text":"and the workers go on"}')) await once(a.socket, 'message')
  t.notOk(b.received.some(message => message.length === large.length))
})

test('a supervisor that does not read is away until it does, and what was missed is counted', async t => {
  let reads = false
  const told: unknown[] = []
  const broker = workersBroker({ send: () => reads, on: () => () => {} })
  await broker.open({ deliver () {}, away: error => told.push(error.message), back: missed => told.push(missed), refused: error => told.push(error.message) })
  const publish = (payload: string) => broker.publish({ topic: 'news', kind: 'text', payload })
  for (let n = 0; n < 3; n++) publish('x')
  reads = true
  publish('x')
  publish('x')
  publish('\u0000'.repeat(1024 * 1024))
  t.match(told, ['the supervisor does not read', 3, /too large/])
})

test('what another worker sends is looked at before it is delivered', async t => {
  const delivered: unknown[] = []
  let hear: (data: unknown) => void = () => {}
  const broker = workersBroker({
    send: () => true,
    on: (_topic, listener) => {
      hear = listener
      return () => { hear = () => {} }
    },
  })
  await broker.open({ deliver: publication => delivered.push(publication), away () {}, back () {}, refused () {} })
  for (const data of [undefined, null, 7, 'x', {}, { topic: 7, kind: 'text', payload: '' }, { topic: 'a', kind: 'html', payload: '' }, { topic: 'a', kind: 'text', payload: '', key: 7 }]) hear(data)
  t.same(delivered, [])
  hear({ topic: 'a', kind: 'binary', payload: 'AAE=', key: 'k' })
  t.same(delivered, [{ topic: 'a', kind: 'binary', payload: Buffer.from([0, 1]), key: 'k' }])
  await broker.close()
  hear({ topic: 'a', kind: 'text', payload: '' })
  t.equal(delivered.length, 1)
})
