import { execFileSync } from 'node:child_process'
import fastify, { type FastifyPluginAsync } from 'fastify'
import { test } from 'tap'
import secureSession, * as named from '@fastkeep/secure-session'

test('require() gives the plugin, with the named exports as its properties', async t => {
  // In a process of its own, because the loader that runs the tests has a require() of its own.
  const script = `
    const plugin = require('@fastkeep/secure-session')
    const { secureSession, generateKey } = plugin
    console.log(typeof plugin, secureSession === plugin, plugin.default === plugin, generateKey().length)
    import('@fastkeep/secure-session').then(module => console.log(module.default === plugin, module.secureSession === plugin))`
  const output = execFileSync(process.execPath, ['--eval', script], { cwd: import.meta.dirname, env: {}, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  t.equal(output, 'function true true 44\ntrue true\n')
})

test('the default export and the one by name are the plugin', async t => {
  t.equal(named.secureSession, secureSession)
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(secureSession satisfies FastifyPluginAsync<named.SecureSessionOptions>, { keys: [named.generateKey()] })
  t.equal(app.hasPlugin('@fastkeep/secure-session'), true)
})

test('generateKey() makes another 32 bytes each time', async t => {
  t.equal(Buffer.from(named.generateKey(), 'base64').length, 32)
  t.not(named.generateKey(), named.generateKey())
})
