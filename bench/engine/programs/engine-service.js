// The same service with the engine.
import Fastify from 'fastify'
import engine, { runToExit } from '@fastkeep/engine'

const { PID_FILE: pidFile } = process.env
const app = Fastify()
await app.register(engine, { port: Number(process.env.PORT ?? 0), ...pidFile !== undefined && { pidFile } })
app.get('/', async () => ({ hello: 'world' }))
app.engine.subscribe('ready', async () => {
  if (process.env.STEADY) await import('./steady-state.js')
  console.log(`serving ${app.server.address().port} as ${process.pid} after ${cpu()} ms of CPU`)
}, { priority: 99 })
await runToExit(app.engine)

function cpu () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
