import { setTimeout as delay } from 'node:timers/promises'
import { subscribe as subscribeDiagnostics, unsubscribe as unsubscribeDiagnostics } from 'node:diagnostics_channel'
import { test } from 'tap'
import { Bus, ChannelFailures, ListenerFailure, type LogEntry } from '@fastkeep/engine'

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}

/** Notes each state that the bus logs, in order. */
function statesOf (bus: Bus): string[] {
  const states: string[] = []
  bus.subscribe('log', ({ message }: LogEntry) => { if (/^Bus [A-Z]+$/.test(message)) states.push(message.slice(4)) })
  return states
}

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

test('a failing start listener stops the start at once and undoes in reverse order what had started', async t => {
  const bus = new Bus()
  const seen: string[] = []
  for (const name of ['database', 'cache', 'broken', 'never']) {
    bus.subscribe('start', () => {
      seen.push(`start ${name}`)
      if (name === 'broken') throw new Error('no')
    }, { name })
    bus.subscribe('stop', () => { seen.push(`stop ${name}`) }, { name })
  }
  bus.subscribe('stop', () => { seen.push('stop of no unit') })
  bus.subscribe('drain', () => t.fail('nothing was ever served'))
  await t.rejects(bus.start(), { message: '"start" failed in broken: no', cause: { message: 'no' } })
  t.same(seen, ['start database', 'start cache', 'start broken', 'stop cache', 'stop database', 'stop of no unit'])
  t.equal(bus.state, 'STOPPED')
})

test('after a failed start the bus can start again', async t => {
  const bus = new Bus()
  let broken = true
  bus.subscribe('start', () => { if (broken) throw new Error('not yet') })
  await t.rejects(bus.start())
  broken = false
  await bus.start()
  t.equal(bus.state, 'STARTED')
})

test('a failure of the undoing is told beside the failure of the start', async t => {
  const bus = new Bus()
  bus.subscribe('start', () => {}, { name: 'database' })
  bus.subscribe('stop', () => { throw new Error('will not close') }, { name: 'database' })
  bus.subscribe('start', () => { throw new Error('no') }, { name: 'broken' })
  await t.rejects(bus.start(), { message: '"start" failed in broken: no; "stop" failed in database: will not close', cause: { message: 'no' } })
})

test('a failing launch listener leaves the bus STOPPED and nothing started', async t => {
  const bus = new Bus()
  bus.subscribe('launch', () => { throw new Error('no') })
  bus.subscribe('start', () => t.fail('nothing may start'))
  await t.rejects(bus.start(), { message: /"launch" failed/ })
  t.equal(bus.state, 'STOPPED')
})

test('a failing ready listener stops the bus again, drain included', async t => {
  const bus = new Bus()
  const states = statesOf(bus)
  let drained = false
  bus.subscribe('ready', () => { throw new Error('nobody to tell') })
  bus.subscribe('drain', () => { drained = true })
  await t.rejects(bus.start(), { message: /"ready" failed/ })
  t.same(states, ['STARTING', 'STARTED', 'STOPPING', 'STOPPED'])
  t.equal(drained, true)
})

test('a failing stop listener keeps neither the other stop listeners nor the exit listeners from running', async t => {
  const bus = new Bus()
  const ran: string[] = []
  bus.subscribe('drain', () => { throw new Error('drain') })
  bus.subscribe('stop', () => { throw new Error('stop') })
  bus.subscribe('stop', () => { ran.push('stop') })
  bus.subscribe('exit', () => { throw new Error('exit') })
  bus.subscribe('exit', () => { ran.push('exit') })
  await bus.start()
  const failures = await bus.exit().then(() => undefined, (error: ChannelFailures) => error)
  t.same(ran, ['stop', 'exit'])
  t.same(failures?.errors.map(({ channel }) => channel), ['drain', 'stop', 'exit'])
  t.equal(bus.state, 'EXITED')
  await t.rejects(bus.exit(), failures as Error)
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

test('a failing graceful listener is told to its caller and does not keep the stop from coming', async t => {
  const bus = new Bus()
  bus.subscribe('graceful', () => { throw new Error('bad certificate') })
  await bus.start()
  const outcome = t.rejects(bus.graceful(), { message: /bad certificate/ })
  await bus.stop()
  await outcome
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

test('what cannot be subscribed is refused with the reason', async t => {
  const bus = new Bus()
  t.throws(() => bus.subscribe('start', undefined as never), { code: 'FST_KEEP_ENGINE_LISTENER_INVALID', message: 'a listener of "start" must be a function, got undefined' })
  t.throws(() => bus.subscribe('start', () => {}, { priorty: 5 } as never), { message: /unknown option "priorty", did you mean "priority"/ })
  t.throws(() => bus.subscribe('start', () => {}, { priority: '5' } as never), { message: /"priority" must be a number/ })
})
