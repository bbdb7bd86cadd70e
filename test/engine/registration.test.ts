import Fastify from 'fastify'
import { test } from 'tap'
import engine from '@fastkeep/engine'

test('the plugin decorates the app that registers it, and Fastify knows it by its name', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(engine, { signals: false })
  t.equal(app.engine.state, 'STOPPED')
  t.ok(app.hasPlugin('@fastkeep/engine'))
  t.match(app.printPlugins(), /─ @fastkeep\/engine /)
  t.equal((engine as unknown as { default: unknown }).default, engine, 'what require() gives has a default, too')
})

test('another major version of Fastify is refused by its number', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  Object.defineProperty(app, 'version', { value: '4.29.1' })
  await t.rejects(async () => app.register(engine, { signals: false }), {
    code: 'FST_KEEP_ENGINE_REGISTRATION_REFUSED',
    message: 'engine: it needs Fastify 5, this is 4.29.1',
  })
})
