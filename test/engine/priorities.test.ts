import Fastify from 'fastify'
import { test } from 'tap'
import { Engine, Monitor } from '@fastkeep/engine'

test('a plugin takes other priorities for one instance, and refuses a step that it does not have', async t => {
  const engine = new Engine()
  // A Monitor keeps no process alive.
  const alive = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(alive))
  const order: string[] = []
  const begun = new Promise<void>(resolve => {
    const task = (name: string) => () => { if (order.push(name) === 2) resolve() }
    new Monitor(engine, task('late'), { interval: 60_000, immediate: true, name: 'late' }).subscribe()
    new Monitor(engine, task('early'), { interval: 60_000, immediate: true, name: 'early' }).subscribe({ start: 84 })
  })
  const task = (): void => {}
  t.throws(() => new Monitor(engine, task, {}).subscribe({ begin: 1 } as never), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', message: /begin/ })
  t.throws(() => new Monitor(engine, task, {}).subscribe({ start: 'early' as never }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', message: /start/ })
  await engine.start()
  await begun
  t.same(order, ['early', 'late'])
  await engine.exit()
})

test('the Server binds, listens and drains where it is told to', async t => {
  const engine = new Engine({ serverPriorities: { bind: 30, drain: 70, close: 80 }, drain: { idleWindow: 0 } })
  const app = Fastify()
  engine.server.add(app, { port: 0 })
  const seen: Array<[string, number]> = []
  engine.subscribe('start', () => { seen.push(['start', engine.server.urls.length]) })
  engine.subscribe('stop', async () => { seen.push(['stop', (await fetch(engine.server.urls[0] as string)).status]) }, { priority: 65 })
  await engine.start()
  await engine.exit()
  t.same(seen, [['start', 1], ['stop', 404]])
  t.throws(() => new Engine({ serverPriorities: { accept: 1 } as never }), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', message: /accept/ })
})
