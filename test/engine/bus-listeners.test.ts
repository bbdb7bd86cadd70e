import { setTimeout as delay } from 'node:timers/promises'
import { subscribe as subscribeDiagnostics, unsubscribe as unsubscribeDiagnostics } from 'node:diagnostics_channel'
import { test } from 'tap'
import { Bus, ChannelFailures, ListenerFailure } from '@fastkeep/engine'
import { deferred } from './deferred.js'

test('listeners run in the order of priority, equal ones in the order of subscription', async t => {
  for (let round = 0; round < 40; round++) {
    const bus = new Bus()
    const order: number[] = []
    for (const [id, priority] of [[1, 50], [2, 50], [3, 10], [4, 90], [5, 50], [6, 10]] as const) {
      bus.subscribe('start', () => { order.push(id) }, { priority })
    }
    await bus.start()
    t.same(order, [3, 6, 1, 2, 5, 4])
  }
})

test('an async listener is awaited before the next one runs', async t => {
  const bus = new Bus()
  const seen: string[] = []
  const gate = deferred()
  bus.subscribe('start', async () => {
    seen.push('first begins')
    await gate.promise
    seen.push('first ends')
  })
  bus.subscribe('start', () => { seen.push('second') })
  const started = bus.start()
  await delay(5)
  t.same(seen, ['first begins'])
  gate.resolve()
  await started
  t.same(seen, ['first begins', 'first ends', 'second'])
})

test('publish returns what the listeners returned, and nothing for a channel that nobody knows', async t => {
  const bus = new Bus()
  bus.subscribe('sum', (a, b) => (a as number) + (b as number))
  bus.subscribe('sum', async (a, b) => (a as number) * (b as number))
  t.same(await bus.publish('sum', 3, 4), [7, 12])
  t.same(await bus.publish('nobody'), [])
})

test('publish runs all listeners even if some fail, and rejects with all failures by channel, name and cause', async t => {
  const bus = new Bus()
  const ran: string[] = []
  const disk = new Error('disk full')
  bus.subscribe('work', () => { throw disk }, { name: 'writer' })
  bus.subscribe('work', () => { ran.push('second') })
  bus.subscribe('work', async () => { await delay(1); throw new Error('no network') }, { name: 'mailer' })
  bus.subscribe('work', () => { ran.push('fourth') })
  const failures = await bus.publish('work').then(() => undefined, (error: ChannelFailures) => error)
  t.same(ran, ['second', 'fourth'])
  t.ok(failures instanceof ChannelFailures && failures instanceof AggregateError)
  t.match(failures, { code: 'FST_KEEP_ENGINE_CHANNEL_FAILURES', exitCode: 70, cause: disk })
  t.equal(failures?.message, '"work" failed in writer: disk full; "work" failed in mailer: no network')
  t.same(failures?.errors.map(({ channel, listener }) => [channel, listener]), [['work', 'writer'], ['work', 'mailer']])
  t.ok(failures?.errors.every(error => error instanceof ListenerFailure))
})

test('what is thrown need not be an Error', async t => {
  const bus = new Bus()
  // eslint-disable-next-line no-throw-literal
  bus.subscribe('work', () => { throw undefined }, { name: 'careless' })
  await t.rejects(bus.publish('work'), { message: '"work" failed in careless: undefined', exitCode: 70 })
})

test('the exit code is the one that the first failure asks for', async t => {
  const bus = new Bus()
  bus.subscribe('start', () => { throw Object.assign(new Error('taken'), { exitCode: 71 }) })
  await t.rejects(bus.start(), { message: /taken/, exitCode: 71 })
})

test('a listener subscribed during a publish does not run in it, one unsubscribed during it does not run any more', async t => {
  const bus = new Bus()
  const ran: string[] = []
  const late = (): void => { ran.push('late') }
  const gone = (): void => { ran.push('gone') }
  bus.subscribe('tick', () => {
    ran.push('first')
    if (!bus.unsubscribe('tick', gone)) return
    bus.subscribe('tick', late)
  })
  bus.subscribe('tick', gone)
  await bus.publish('tick')
  t.same(ran, ['first'])
  await bus.publish('tick')
  t.same(ran, ['first', 'first', 'late'])
})

test('a listener that is subscribed twice runs once, with its new priority', async t => {
  const bus = new Bus()
  const order: string[] = []
  const a = (): void => { order.push('a') }
  bus.subscribe('tick', a, { priority: 10 })
  bus.subscribe('tick', () => { order.push('b') }, { priority: 20 })
  bus.subscribe('tick', a, { priority: 30 })
  await bus.publish('tick')
  t.same(order, ['b', 'a'])
})

test('subscribe returns a function that unsubscribes, unsubscribe tells whether the listener was there', async t => {
  const bus = new Bus()
  const listener = (): unknown => t.fail('it is unsubscribed')
  bus.subscribe('tick', listener)()
  t.equal(bus.unsubscribe('tick', listener), false)
  bus.subscribe('tick', listener)
  t.equal(bus.hasListeners('tick'), true)
  t.equal(bus.unsubscribe('tick', listener), true)
  t.equal(bus.hasListeners('tick'), false)
  await bus.publish('tick')
})

test('a listener with once runs once, even if it fails', async t => {
  const bus = new Bus()
  let runs = 0
  bus.subscribe('tick', () => { runs++; throw new Error('once is enough') }, { once: true })
  await t.rejects(bus.publish('tick'))
  await bus.publish('tick')
  t.equal(runs, 1)
})

test('an AbortSignal unsubscribes', async t => {
  const bus = new Bus()
  const abort = new AbortController()
  let runs = 0
  bus.subscribe('tick', () => { runs++ }, { signal: abort.signal })
  await bus.publish('tick')
  abort.abort()
  await bus.publish('tick')
  bus.subscribe('tick', () => { runs++ }, { signal: abort.signal })
  await bus.publish('tick')
  t.equal(runs, 1)
})

test('a listener that is not done within its timeout counts as failed, and the others still run', async t => {
  const bus = new Bus()
  let ran = false
  bus.subscribe('tick', () => new Promise(() => {}), { timeout: 10, name: 'sleeper' })
  bus.subscribe('tick', () => { ran = true })
  await t.rejects(bus.publish('tick'), { message: '"tick" failed in sleeper: not done after 10 ms', cause: { code: 'FST_KEEP_ENGINE_LISTENER_TIMEOUT' } })
  t.equal(ran, true)
})

test('a failing log listener disturbs nobody and is told on the diagnostics channel', async t => {
  const bus = new Bus()
  const failed: unknown[] = []
  const onFailed = (message: unknown): void => { failed.push(message) }
  subscribeDiagnostics('fastkeep:engine:log-failed', onFailed)
  t.teardown(() => unsubscribeDiagnostics('fastkeep:engine:log-failed', onFailed))
  const ran: string[] = []
  const lines: string[] = []
  bus.subscribe('log', () => { throw new Error('disk full') }, { priority: 1 })
  bus.subscribe('log', async () => { throw new Error('no network') }, { priority: 2 })
  bus.subscribe('log', ({ message }) => { lines.push(message) })
  bus.subscribe('start', () => { ran.push('A') }, { priority: 10 })
  bus.subscribe('start', () => { throw new Error('the real error') }, { priority: 20, name: 'bad' })
  await t.rejects(bus.start(), { cause: { message: 'the real error' } })
  t.same(ran, ['A'])
  t.same(lines, ['Bus STARTING', 'Bus STOPPING', 'Bus STOPPED'])
  t.match(failed[0], { failure: { message: /disk full/ } })
})

test('two buses do not take each other\'s listeners for their own', async t => {
  const inner = new Bus()
  const outer = new Bus()
  outer.subscribe('start', () => inner.start())
  outer.subscribe('stop', () => inner.stop())
  await outer.start()
  t.equal(inner.state, 'STARTED')
  await outer.stop()
  t.equal(inner.state, 'STOPPED')
})

test('what cannot be subscribed is refused with the reason', async t => {
  const bus = new Bus()
  t.throws(() => bus.subscribe('start', undefined as never), { code: 'FST_KEEP_ENGINE_LISTENER_INVALID', message: 'a listener of "start" must be a function, got undefined' })
  t.throws(() => bus.subscribe('start', () => {}, { priorty: 5 } as never), { message: /unknown option "priorty", did you mean "priority"/ })
  t.throws(() => bus.subscribe('start', () => {}, { priority: '5' } as never), { message: /"priority" must be a number/ })
})
