// A WebSocket server of one kind, on /topic (subscribed to what is published), /echo and /idle. Prints its port.
// Run with --expose-gc.
import { createServer } from 'node:http'
import Fastify from 'fastify'
import { WebSocketServer } from 'ws'
import { publisher } from './publisher.js'

const [kind = 'ws'] = process.argv.slice(2)
/** Beyond what a bench sends: every guard is on, and none bites. */
const MANY = 1e9
let acknowledge = () => {}

const KINDS = {
  async fastkeep () {
    const { default: websocket } = await import('@fastkeep/websocket')
    const app = Fastify()
    await app.register(websocket, {
      authenticate: ({ headers }) => headers.authorization,
      userOf: () => 'everybody',
      maxConnectionsPerAddress: MANY,
      maxConnectionsPerUser: MANY,
      maxMessagesPerSecond: MANY,
      maxBytesPerSecond: MANY,
      pingInterval: Number(process.env.PING_INTERVAL ?? 30_000),
      slowReader: process.env.SLOW_READER ?? 'close',
    })
    app.get('/topic', { websocket: true }, socket => {
      socket.subscribe('news')
      socket.on('message', acknowledge)
    })
    app.get('/flood', { websocket: true }, socket => { socket.subscribe('flood') })
    app.get('/echo', { websocket: true }, socket => { socket.on('message', data => socket.send(data, { binary: false })) })
    app.get('/idle', { websocket: true }, socket => { socket.on('message', () => {}) })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      server: app.server,
      publish: text => app.websocket.publish('news', text),
      flood: text => app.websocket.publish('flood', text),
      buffered: () => Math.max(0, ...[...app.websocket.subscribers('flood')].map(socket => socket.bufferedAmount)),
      count: () => app.websocketServer.clients.size,
    }
  },
  async ws () {
    const server = createServer((_request, response) => response.writeHead(404).end())
    const sockets = new WebSocketServer({ server, maxPayload: 65_536 })
    sockets.on('connection', (socket, { url }) => {
      socket.on('error', () => {})
      if (url === '/echo') socket.on('message', data => socket.send(data, { binary: false }))
      else socket.on('message', acknowledge)
    })
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
    return {
      server,
      publish: text => { for (const socket of sockets.clients) if (socket.readyState === socket.OPEN) socket.send(text) },
      count: () => sockets.clients.size,
    }
  },
  async '@fastify/websocket' () {
    const { default: websocket } = await import('@fastify/websocket')
    const app = Fastify()
    await app.register(websocket)
    app.get('/idle', { websocket: true }, socket => { socket.on('message', () => {}) })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return { server: app.server, publish () {}, count: () => app.websocketServer.clients.size }
  },
}

const { server, publish, flood, buffered, count } = await KINDS[kind]()

acknowledge = publisher({
  publish,
  commands: {
    memory () {
      for (let n = 0; n < 3; n++) globalThis.gc()
      const { rss, heapUsed, external } = process.memoryUsage()
      console.log(`memory rss=${rss} heap=${heapUsed + external} sockets=${count()}`)
    },
    // Messages with the time in ns at which they were published, one every so many ms.
    async stamped (messages, interval) {
      for (let n = 0; n < Number(messages); n++) {
        publish(String(process.hrtime.bigint()).padEnd(256))
        await new Promise(resolve => setTimeout(resolve, Number(interval)))
      }
      console.log('stamped')
    },
    // Until the one that does not read is far behind.
    async flood (bytes) {
      for (let sent = 0; sent < Number(bytes); sent += 16_384) {
        flood('x'.repeat(16_384))
        await new Promise(resolve => setImmediate(resolve))
      }
      console.log(`flooded buffered=${buffered()}`)
    },
  },
})
console.log(`serving ${server.address().port}`)
