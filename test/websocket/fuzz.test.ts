import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'tap'
import type { WebSocketServer } from 'ws'
import { KIND_NAMES, malformed, type Malformed } from './malformed.js'
import { nextText, open, sendHandshake, serve } from './server-under-test.js'

const MAX_PAYLOAD = 1000
const options = { maxPayload: MAX_PAYLOAD, maxConnections: 0, maxConnectionsPerAddress: 0, pingInterval: 0 }

/** The close code that a server has sent, by walking over its frames: it must be the last of them. */
function closeCodeIn (sent: Buffer): number | undefined {
  let at = sent.indexOf('\r\n\r\n') + 4
  while (at < sent.length) {
    const opcode = (sent[at] as number) & 0x0f
    const short = sent[at + 1] as number
    const [length, head] = short === 126 ? [sent.readUInt16BE(at + 2), 4] : [short, 2]
    const end = at + head + length
    if (opcode === 8) return end === sent.length && length >= 2 ? sent.readUInt16BE(at + head) : undefined
    at = end
  }
  return undefined
}

/** A connection in memory. */
class Connection extends Duplex {
  readonly #sent: Buffer[] = []

  override _read (): void {}

  override _write (chunk: Buffer, _encoding: string, callback: () => void): void {
    this.#sent.push(chunk)
    callback()
  }

  get closeCode (): number | undefined {
    return closeCodeIn(Buffer.concat(this.#sent))
  }

  receive (bytes: Buffer): void {
    const at = Math.floor(Math.random() * bytes.length)
    this.push(bytes.subarray(0, at))
    this.push(bytes.subarray(at))
  }
}

const upgrade = {
  method: 'GET',
  url: '/',
  headers: { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' },
} as IncomingMessage

async function closeCodeOf (server: WebSocketServer, { bytes }: Malformed): Promise<number | undefined> {
  const connection = new Connection()
  server.handleUpgrade(upgrade, connection, Buffer.alloc(0), socket => {
    socket.on('error', () => {})
    socket.on('message', data => socket.send(data))
  })
  connection.receive(bytes)
  for (let turns = 0; turns < 10 && connection.closeCode === undefined; turns++) await new Promise(setImmediate)
  const { closeCode } = connection
  connection.destroy()
  return closeCode
}

test('100,000 malformed inputs each bring the right close code and nothing after it, and the process lives', async t => {
  const server = await serve(t, options, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(data)) })
  }, { logger: false })
  const wrong: string[] = []
  const count = 100_000
  for (let done = 0; done < count; done += KIND_NAMES.length) {
    const inputs = KIND_NAMES.map(kind => malformed(kind, MAX_PAYLOAD))
    const codes = await Promise.all(inputs.map(async input => await closeCodeOf(server.app.websocketServer, input)))
    for (const [index, { what, bytes, code }] of inputs.entries()) {
      if (codes[index] !== code) wrong.push(`${what}: ${codes[index]} instead of ${code} for ${bytes.toString('hex')}`)
    }
    if (wrong.length > 10) break
  }
  t.same(wrong, [])
  const client = await open(t, server, '/')
  client.send('still there')
  t.equal(await nextText(client), 'still there')
})

test('over TCP each kind brings its close code too, is logged, and ends the connection', async t => {
  const server = await serve(t, options, app => { app.get('/', { websocket: true }, socket => { socket.on('message', () => {}) }) })
  for (const kind of KIND_NAMES) {
    const { bytes, code } = malformed(kind, MAX_PAYLOAD)
    const client = sendHandshake(server.port, '/', { Origin: server.origin })
    const sent: Buffer[] = []
    client.on('data', (chunk: Buffer) => sent.push(chunk)).on('error', () => {})
    await once(client, 'data')
    client.write(bytes)
    await once(client, 'close')
    t.equal(closeCodeIn(Buffer.concat(sent)), code, kind)
  }
  const logged = server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_FRAME_REFUSED')
  t.equal(logged.length, KIND_NAMES.length)
})

test('handshakes of random bytes and headers are answered, refused or cut, and the process lives', async t => {
  const server = await serve(t, options, app => { app.get('/', { websocket: true }, () => {}) })
  for (let count = 0; count < 300; count++) {
    const noise = Buffer.from(Array.from({ length: 60 }, () => Math.floor(Math.random() * 256)))
    const client = connect(server.port, '127.0.0.1')
    client.on('error', () => {}).resume()
    client.end(Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: '), noise, Buffer.from('\r\n\r\n')]))
    await once(client, 'close')
  }
  const client = await open(t, server, '/')
  client.close()
  await once(client, 'close')
})
