import { setTimeout as delay } from 'node:timers/promises'
import { subscribe as subscribeDiagnostics, unsubscribe as unsubscribeDiagnostics } from 'node:diagnostics_channel'
import { test } from 'tap'
import { Bus } from '@fastkeep/engine'
import { deferred } from './deferred.js'
import { statesOf } from './states-of.js'

test('a whole life goes through every state in order', async t => {
  const bus = new Bus()
  const states = statesOf(bus)
  t.equal(bus.state, 'STOPPED')
  await bus.start()
  t.equal(bus.state, 'STARTED')
  await bus.stop()
  t.equal(bus.state, 'STOPPED')
  await bus.start()
  await bus.exit()
  t.same(states, ['STARTING', 'STARTED', 'STOPPING', 'STOPPED', 'STARTING', 'STARTED', 'STOPPING', 'STOPPED', 'EXITING', 'EXITED'])
})

test('a bus that never started exits without a stop', async t => {
  const bus = new Bus()
  const states = statesOf(bus)
  bus.subscribe('stop', () => t.fail('there is nothing to stop'))
  await bus.exit()
  t.same(states, ['EXITING', 'EXITED'])
})

test('each transition publishes its channels: launch only once, ready after start, drain before stop', async t => {
  const bus = new Bus()
  const seen: string[] = []
  for (const channel of ['exit', 'stop', 'drain', 'ready', 'start', 'launch']) bus.subscribe(channel, () => seen.push(`${channel} in ${bus.state}`))
  await bus.start()
  await bus.stop()
  await bus.start()
  await bus.exit()
  t.same(seen, [
    'launch in STOPPED', 'start in STARTING', 'ready in STARTED', 'drain in STOPPING', 'stop in STOPPING',
    'start in STARTING', 'ready in STARTED', 'drain in STOPPING', 'stop in STOPPING', 'exit in EXITING',
  ])
})

test('calls that ask for what is under way join it: each listener runs once', async t => {
  const bus = new Bus()
  const runs = { start: 0, stop: 0, exit: 0 }
  for (const channel of ['start', 'stop', 'exit'] as const) bus.subscribe(channel, async () => { runs[channel]++; await delay(5) })
  await Promise.all([bus.start(), bus.start(), bus.start()])
  await bus.start()
  await Promise.all([bus.stop(), bus.stop()])
  await bus.stop()
  await bus.start()
  await Promise.all([bus.exit(), bus.stop(), bus.exit(), bus.exit()])
  await bus.exit()
  t.same(runs, { start: 2, stop: 2, exit: 1 })
})

test('an illegal transition rejects and changes nothing', async t => {
  const bus = new Bus()
  const gate = deferred()
  bus.subscribe('stop', () => gate.promise)
  await bus.start()
  const stopped = bus.stop()
  await bus.wait('STOPPING')
  await t.rejects(bus.start(), { code: 'FST_KEEP_ENGINE_ILLEGAL_TRANSITION', message: 'cannot start: the bus is STOPPING' })
  gate.resolve()
  await stopped
  await bus.exit()
  await t.rejects(bus.start(), { code: 'FST_KEEP_ENGINE_ILLEGAL_TRANSITION', message: 'cannot start: the bus is EXITED' })
  await t.resolves(bus.stop())
})

test('a start that is asked for while the bus is on its way out rejects', async t => {
  const bus = new Bus()
  await bus.start()
  const exited = bus.exit()
  await t.rejects(bus.start(), { code: 'FST_KEEP_ENGINE_ILLEGAL_TRANSITION' })
  await exited
})

test('stop during a start calls it off after the listener that is running', async t => {
  const bus = new Bus()
  const gate = deferred()
  const seen: string[] = []
  bus.subscribe('start', async () => { await gate.promise; seen.push('start slow') }, { name: 'slow' })
  bus.subscribe('stop', () => { seen.push('stop slow') }, { name: 'slow' })
  bus.subscribe('start', () => t.fail('the start was called off'))
  const started = bus.start()
  await bus.wait('STARTING')
  const stopped = bus.stop()
  gate.resolve()
  await t.rejects(started, { code: 'FST_KEEP_ENGINE_START_CANCELLED', message: 'the start was called off by stop()' })
  await stopped
  t.same(seen, ['start slow', 'stop slow'])
  t.equal(bus.state, 'STOPPED')
})

test('exit during a start calls it off and exits; a failing undoing is told to whoever exits', async t => {
  const bus = new Bus()
  const gate = deferred()
  bus.subscribe('start', () => gate.promise, { name: 'slow' })
  bus.subscribe('stop', () => { throw new Error('stuck') }, { name: 'slow' })
  const started = bus.start()
  await bus.wait('STARTING')
  const exited = bus.exit()
  gate.resolve()
  await Promise.all([
    t.rejects(started, { cause: { code: 'FST_KEEP_ENGINE_START_CANCELLED' } }),
    t.rejects(exited, { message: '"stop" failed in slow: stuck' }),
  ])
  t.equal(bus.state, 'EXITED')
})

test('stop while ready listeners run waits for the present one, then drains and stops', async t => {
  const bus = new Bus()
  const gate = deferred()
  bus.subscribe('ready', () => gate.promise)
  bus.subscribe('ready', () => t.fail('the start was called off'))
  const started = bus.start()
  await bus.wait('STARTED')
  const stopped = bus.stop()
  gate.resolve()
  await t.rejects(started, { code: 'FST_KEEP_ENGINE_START_CANCELLED' })
  await stopped
  t.equal(bus.state, 'STOPPED')
})

test('a listener that asks for a transition which would wait for itself is refused by name', async t => {
  const bus = new Bus()
  for (const method of ['start', 'stop', 'exit', 'graceful'] as const) {
    bus.subscribe('start', async () => {
      await t.rejects(bus[method](), { code: 'FST_KEEP_ENGINE_REENTRANT_TRANSITION', message: new RegExp(`^${method}\\(\\) was called from inside the listener "impatient" of "start"`) })
    }, { name: 'impatient' })
  }
  await bus.start()
  t.equal(bus.state, 'STARTED')
})

test('work that a listener leaves behind may ask for transitions', async t => {
  const bus = new Bus()
  let later: Promise<void> | undefined
  bus.subscribe('start', () => { later = delay(5).then(() => bus.exit()) })
  await bus.start()
  await later
  t.equal(bus.state, 'EXITED')
})

test('graceful is for a started bus, joins one that is under way, and a stop waits for it', async t => {
  const bus = new Bus()
  const gate = deferred()
  const seen: string[] = []
  bus.subscribe('graceful', async () => { seen.push('graceful'); await gate.promise; seen.push('graceful done') })
  bus.subscribe('stop', () => { seen.push('stop') })
  await t.rejects(bus.graceful(), { code: 'FST_KEEP_ENGINE_ILLEGAL_TRANSITION' })
  await bus.start()
  const both = [bus.graceful(), bus.graceful()]
  const stopped = bus.stop()
  await delay(5)
  gate.resolve()
  await Promise.all([...both, stopped])
  t.same(seen, ['graceful', 'graceful done', 'stop'])
})

test('wait resolves with the state that came first, at once where it is already there', async t => {
  const bus = new Bus()
  t.equal(await bus.wait('STOPPED'), 'STOPPED')
  const waited = bus.wait(['EXITED', 'STARTED'])
  await bus.start()
  t.equal(await waited, 'STARTED')
})

test('wait gives up at its timeout or when its signal aborts', async t => {
  const bus = new Bus()
  await t.rejects(bus.wait('STARTED', { timeout: 5 }), { code: 'FST_KEEP_ENGINE_WAIT_TIMEOUT', exitCode: 75, message: 'the bus did not become STARTED within 5 ms, it is STOPPED' })
  const abort = new AbortController()
  const waited = bus.wait('STARTED', { signal: abort.signal })
  abort.abort(new Error('enough'))
  await t.rejects(waited, { message: 'enough' })
  await t.rejects(bus.wait('STARTED', { signal: abort.signal }), { message: 'enough' })
})

test('state changes are published on the diagnostics channel', async t => {
  const changes: string[] = []
  const bus = new Bus()
  const onState = (message: unknown): void => {
    const { bus: which, from, to } = message as { bus: Bus, from: string, to: string }
    if (which === bus) changes.push(`${from}>${to}`)
  }
  subscribeDiagnostics('fastkeep:engine:state', onState)
  t.teardown(() => unsubscribeDiagnostics('fastkeep:engine:state', onState))
  await bus.start()
  t.same(changes, ['STOPPED>STARTING', 'STARTING>STARTED'])
})

test('whoever hears that the bus is STOPPED can ask for the next transition at once', async t => {
  const bus = new Bus()
  await bus.start()
  const next = bus.wait('STOPPED').then(() => bus.start())
  await bus.stop()
  await next
  t.equal(bus.state, 'STARTED')
  const last = bus.wait('STOPPED').then(() => Promise.all([bus.start(), bus.exit()]))
  await bus.stop()
  await last
  t.equal(bus.state, 'EXITED')
})
