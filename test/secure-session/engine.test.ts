import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import { test } from 'tap'
import engine from '@fastkeep/engine'
import secureSession, { generateKey } from '@fastkeep/secure-session'

test('with the engine, graceful reads the keys again', async t => {
  const keyFile = join(t.testdir(), 'keys')
  writeFileSync(keyFile, generateKey(), { mode: 0o600 })
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(engine, { signals: false, host: '127.0.0.1', port: 0 })
  await app.register(secureSession, { keyFile, development: true })
  await app.engine.start()
  t.equal(app.sessions.describe().keys, 1)
  writeFileSync(keyFile, `${generateKey()}\n${generateKey()}`)
  await app.engine.graceful()
  t.equal(app.sessions.describe().keys, 2)
  await app.engine.exit()
})
