import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Child, plainEnvironment } from '../child.js'

const directory = join(dirname(createRequire(import.meta.url).resolve('@fastify/helmet/package.json')), 'test')
const preload = fileURLToPath(new URL('helmet-suite.cjs', import.meta.url))

test('the test suite that @fastify/helmet publishes passes against the drop-in', async t => {
  const files = readdirSync(directory).filter(file => file.endsWith('.test.js')).map(file => join(directory, file))
  t.equal(files.length, 2)
  const child = new Child(t, process.execPath, ['--require', preload, '--test', '--test-reporter=tap', ...files],
    { env: plainEnvironment() })
  const { code } = await child.ended
  t.equal(code, 0, child.output)
  t.match(child.output, /^# pass 34$/m)
  t.match(child.output, /^# fail 0$/m)
})

test('it is the drop-in that the suite was run against', async t => {
  const script = `const helmet = require('node:module').createRequire(${JSON.stringify(join(directory, 'x.js'))})('..')
    console.log(helmet === require('@fastkeep/secure-headers/helmet'), typeof helmet.contentSecurityPolicy, helmet.fastifyHelmet === helmet, helmet.default === helmet)`
  const child = new Child(t, process.execPath, ['--require', preload, '-e', script], { cwd: import.meta.dirname, env: plainEnvironment() })
  await child.ended
  t.match(child.output, /true function true true/)
})
