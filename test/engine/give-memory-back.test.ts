import { test } from 'tap'
import { giveMemoryBack } from '../../packages/engine/src/supervisor/give-memory-back.js'

test('what nobody holds any more is given back, though the process does nothing', { timeout: 20_000 }, async t => {
  const alive = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(alive))
  let hear = (_name: string): void => {}
  const heard = new Promise<string>(resolve => { hear = resolve })
  const registry = new FinalizationRegistry<string>(name => hear(name))
  registry.register({}, 'garbage')
  giveMemoryBack()
  t.equal(await heard, 'garbage')
})
