// The peers' service: Fastify as most run it. Also a worker of node:cluster or PM2.
import Fastify from 'fastify'
import websocket from '@fastify/websocket'
import { FACTORY_OPTIONS } from './factory-options.js'
import { routes } from './routes.js'

const ports = JSON.parse(process.env.PORTS)
const apps = []
for (const [name, options] of Object.entries(FACTORY_OPTIONS)) {
  if (ports[name] === undefined) continue
  const app = Fastify(options)
  routes(app)
  if (name === 'http') {
    await app.register(websocket)
    app.get('/echo', { websocket: true }, socket => socket.on('message', data => socket.send(data.toString())))
  }
  await app.listen({ port: ports[name], host: '127.0.0.1' })
  apps.push(app)
}

let isClosing = false
async function close () {
  if (isClosing) return
  isClosing = true
  // What waits for ever, e.g. a silent connection, is cut as process managers do.
  setTimeout(() => process.exit(1), 10_000).unref()
  await Promise.all(apps.map(app => app.close()))
  process.exit(0)
}
process.on('SIGTERM', close)
process.on('SIGINT', close)
process.send?.('ready') // Both cluster.js and PM2 wait for it.
console.log(`serving as ${process.pid}`)
