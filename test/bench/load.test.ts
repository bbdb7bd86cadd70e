import { once } from 'node:events'
import http, { type RequestListener } from 'node:http'
import net, { type AddressInfo, type Server } from 'node:net'
import { test, type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { load, type LoadOptions, type LoadReport } from '../../bench/load/client.js'

async function portOf (t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

/** A client whose first request has begun before it is told to end. */
async function outcome (t: Test, answer: RequestListener, options: Partial<LoadOptions> = {}): Promise<LoadReport> {
  const server = http.createServer(answer)
  server.keepAliveTimeout = 100
  const port = await portOf(t, server)
  const end = new AbortController()
  server.once('request', () => end.abort())
  return await load({ host: '127.0.0.1', port, kind: 'keep-alive', connections: 1, timeout: 300, ...options }, end.signal)
}

for (const [what, answer] of Object.entries({
  ok: (_request, response) => { response.end('hello') },
  not2xx: (_request, response) => { response.writeHead(503).end() },
  reset: (_request, response) => { response.destroy() },
  truncated: (_request, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('half', () => response.destroy())
  },
  timeout: () => {},
} satisfies Record<string, RequestListener>)) {
  test(`one request that comes to "${what}" is told as that, and as nothing else`, async t => {
    const report = await outcome(t, answer)
    t.match(report, { asked: 1, [what]: 1 })
  })
}

test('a port on which nobody listens is told as refused', async t => {
  const server = net.createServer()
  const port = await portOf(t, server)
  server.close()
  await once(server, 'close')
  const end = new AbortController()
  const report = load({ host: '127.0.0.1', port, kind: 'close', connections: 1 }, end.signal)
  setImmediate(() => end.abort())
  const { asked, refused } = await report
  t.ok(asked >= 1)
  t.equal(refused, asked)
})

test('an answer that ends short of its last chunk is truncated', async t => {
  const report = await outcome(t, (_request, response) => { response.write('half', () => response.destroy()) })
  t.match(report, { asked: 1, truncated: 1 })
})

test('a download of which one byte is wrong is corrupt, the right one is not', async t => {
  const size = 300_000
  const content = Buffer.from(Array.from({ length: size }, (_byte, index) => index % 251))
  t.match(await outcome(t, (_request, response) => { response.end(content) }, { kind: 'download', size }), { asked: 1, ok: 1 })
  const wrong = Buffer.from(content)
  wrong[size - 5] = 252
  t.match(await outcome(t, (_request, response) => { response.end(wrong) }, { kind: 'download', size }), { asked: 1, corrupt: 1 })
})

async function echoServer (t: Test, onMessage: (socket: WebSocket, data: Buffer, end: AbortController) => void): Promise<LoadReport> {
  const server = http.createServer()
  const end = new AbortController()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', socket => {
    socket.on('message', (data: Buffer) => onMessage(socket, data, end))
  })
  const port = await portOf(t, server)
  return await load({ host: '127.0.0.1', port, kind: 'websocket', connections: 1, timeout: 2000 }, end.signal)
}

test('a WebSocket that is closed with 1012 between two messages is no loss: the client comes again', async t => {
  let count = 0
  const report = await echoServer(t, (socket, data, end) => {
    socket.send(data.toString())
    socket.close(1012)
    if (++count === 3) end.abort()
  })
  t.equal(report.truncated, 0)
  t.equal(report.asked, report.ok + report.retried)
  t.ok(report.ok >= 3)
})

test('a message that was there long before the close and was not answered is a loss', async t => {
  const report = await echoServer(t, (socket, _data, end) => {
    end.abort()
    setTimeout(() => socket.close(1012), 400)
  })
  t.match(report, { asked: 1, truncated: 1, retried: 0 })
})
