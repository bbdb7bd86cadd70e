// Ours: the service with the engine, by itself or as a worker. A generation file decides whether it can start.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import engine, { runToExit } from '@fastkeep/engine'
import websocket from '@fastkeep/websocket'
import { FACTORY_OPTIONS } from './factory-options.js'
import { routes } from './routes.js'

const { GENERATION } = process.env

let bus
for (const [socketName, options] of Object.entries(FACTORY_OPTIONS)) {
  const app = Fastify(options)
  await app.register(engine, bus === undefined ? { environment: false, restartTimeout: 120_000, socketName } : { engine: bus, socketName })
  bus ??= app.engine
  if (socketName === 'http') {
    await app.register(websocket, { authenticate: () => ({}) })
    app.get('/echo', { websocket: true }, socket => { socket.on('message', data => socket.send(data.toString())) })
  }
  routes(app)
}
bus.subscribe('start', () => {
  if (readFileSync(GENERATION, 'utf8') === 'bad') throw new Error('no database for this version')
})
bus.subscribe('log', ({ message, level, code = '' }) => { if (level !== 'info' && level !== 'debug') console.log(`${level} ${code} ${message}`) })
bus.subscribe('ready', () => { setImmediate(() => console.log(`serving as ${process.pid}`)) }, { priority: 99 })
await runToExit(bus)
