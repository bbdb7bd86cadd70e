import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Child, plainEnvironment } from '../child.js'

test('the types of the client need those of the browser or of Node, not both', { timeout: 60_000 }, async t => {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const file = fileURLToPath(new URL('fixtures/page.mts', import.meta.url))
  const child = new Child(t, process.execPath, [compiler, '--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', file], { env: plainEnvironment() })
  const { code } = await child.ended
  t.equal(code, 0, child.output)
})
