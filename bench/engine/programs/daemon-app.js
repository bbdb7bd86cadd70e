// What early-daemon-service.js needs only in the daemon.
import Fastify from 'fastify'
import engine from '@fastkeep/engine'

export async function makeEngine () {
  const app = Fastify()
  await app.register(engine)
  app.get('/', async () => ({ hello: 'world' }))
  return app.engine
}
