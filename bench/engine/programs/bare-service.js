// The peer: a service without the engine, as most are written.
import Fastify from 'fastify'

const app = Fastify()
app.get('/', async () => ({ hello: 'world' }))
process.on('SIGTERM', () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' })
if (process.env.STEADY) await import('./steady-state.js')
console.log(`serving ${app.server.address().port} as ${process.pid} after ${cpu()} ms of CPU`)

function cpu () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
