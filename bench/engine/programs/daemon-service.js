// The same service, in the foreground or, with DAEMON, as a daemon.
import Fastify from 'fastify'
import engine, { runToExit } from '@fastkeep/engine'

const app = Fastify()
await app.register(engine, { daemon: process.env.DAEMON === 'true' })
app.get('/', async () => ({ hello: 'world' }))
app.engine.subscribe('ready', () => console.log('ready'), { priority: 99 })
await runToExit(app.engine)
