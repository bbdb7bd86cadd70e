import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Bus, type LogEntry, BackgroundTask, Monitor, type MonitorOptions } from '@fastkeep/engine'
import { runNode } from '../child.js'

const HOUR = 3_600_000

/** What is tested keeps no process alive, that of the test neither. */
function keepAlive (t: Test): void {
  const timer = setInterval(() => {}, HOUR)
  t.teardown(() => clearInterval(timer))
}

function startedBus (t: Test): Bus {
  keepAlive(t)
  const bus = new Bus()
  t.teardown(() => bus.exit())
  return bus
}

/** A task that tells of its runs, each of which lasts until it is let go if `holds`. */
class Work {
  readonly events = new EventEmitter()
  readonly signals: AbortSignal[] = []
  count = 0
  atOnce = 0
  mostAtOnce = 0
  holds = false

  readonly run = async (signal: AbortSignal): Promise<void> => {
    this.signals.push(signal)
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce)
    this.count++
    this.events.emit('run')
    if (this.holds) await once(this.events, 'go')
    this.atOnce--
  }

  async runs (count: number): Promise<void> {
    while (this.count < count) await once(this.events, 'run')
  }
}

/** Resolves after another monitor has run several times: enough for one of the same interval to have run too. */
async function meanwhile (t: Test): Promise<void> {
  const work = new Work()
  const bus = startedBus(t)
  new Monitor(bus, work.run, { interval: 10 }).subscribe()
  await bus.start()
  await work.runs(5)
}

test('a monitor runs again and again from the start of the bus to its stop, and again after the next start', async t => {
  const bus = startedBus(t)
  const work = new Work()
  new Monitor(bus, work.run, { interval: 10 }).subscribe()
  await meanwhile(t)
  t.equal(work.count, 0, 'not before the start')
  await bus.start()
  await work.runs(3)
  await bus.stop()
  const { count } = work
  await meanwhile(t)
  t.equal(work.count, count, 'not after the stop')
  await bus.start()
  await work.runs(count + 2)
})

test('runs never overlap, and the next one begins an interval after the end of the last', async t => {
  const bus = startedBus(t)
  const times: Array<{ began: number, ended: number }> = []
  const events = new EventEmitter()
  let isRunning = false
  new Monitor(bus, async () => {
    t.equal(isRunning, false)
    isRunning = true
    const began = performance.now()
    await delay(60)
    isRunning = false
    times.push({ began, ended: performance.now() })
    if (times.length === 3) events.emit('enough')
  }, { interval: 30 }).subscribe()
  await bus.start()
  await once(events, 'enough')
  for (const [index, { began }] of times.entries()) {
    if (index > 0) t.ok(began - (times[index - 1] as { ended: number }).ended >= 28, 'a pause')
  }
})

test('the first run comes after the interval, or at once if it is immediate', async t => {
  const bus = startedBus(t)
  const [late, early] = [new Work(), new Work()]
  new Monitor(bus, late.run, { interval: HOUR }).subscribe()
  new Monitor(bus, early.run, { interval: HOUR, immediate: true }).subscribe()
  await bus.start()
  await early.runs(1)
  await meanwhile(t)
  t.equal(late.count, 0)
  t.equal(early.count, 1)
})

test('a run that fails is logged with its code and its cause, is published, and the next one comes', async t => {
  const bus = startedBus(t)
  const entries: LogEntry[] = []
  bus.subscribe('log', entry => { if (entry.level === 'error') entries.push(entry) })
  const published: unknown[] = []
  const onFailed = (message: unknown): void => { published.push(message) }
  subscribe('fastkeep:engine:monitor-failed', onFailed)
  t.teardown(() => unsubscribe('fastkeep:engine:monitor-failed', onFailed))
  const work = new Work()
  const [first, second] = [new Error('first'), new Error('second')]
  new Monitor(bus, signal => {
    work.run(signal).catch(t.error)
    if (work.count === 1) throw first
    if (work.count === 2) return Promise.reject(second)
  }, { interval: 5, name: 'prune' }).subscribe()
  await bus.start()
  await work.runs(3)
  t.match(entries, [
    { message: 'the monitor "prune" failed: first', error: { code: 'FST_KEEP_ENGINE_MONITOR_FAILED', cause: first } },
    { message: 'the monitor "prune" failed: second', error: { code: 'FST_KEEP_ENGINE_MONITOR_FAILED', cause: second } },
  ])
  t.match(published, [{ bus, name: 'prune', error: { cause: first } }, { bus, name: 'prune' }])
})

test('the stop waits for the run that is under way, aborts its signal, and only then closes what the run needs', async t => {
  const bus = startedBus(t)
  const work = new Work()
  work.holds = true
  const order: string[] = []
  bus.subscribe('stop', () => order.push('database closed'))
  new Monitor(bus, async signal => {
    await work.run(signal)
    order.push('run ended')
  }, { interval: HOUR, immediate: true }).subscribe()
  await bus.start()
  await work.runs(1)
  const [signal] = work.signals as [AbortSignal]
  t.equal(signal.aborted, false)
  const aborted = once(signal, 'abort')
  const stopped = bus.stop()
  await aborted
  await meanwhile(t)
  t.equal(bus.state, 'STOPPING')
  work.events.emit('go')
  await stopped
  t.same(order, ['run ended', 'database closed'])
})

test('a run may itself stop the bus and wait for that', { timeout: 10_000 }, async t => {
  const bus = startedBus(t)
  const work = new Work()
  const states: string[] = []
  new Monitor(bus, async signal => {
    await bus.stop()
    states.push(bus.state)
    await work.run(signal)
  }, { interval: HOUR, immediate: true }).subscribe()
  await bus.start()
  await work.runs(1)
  t.same(states, ['STOPPED'])
})

test('graceful ends the run that is under way and begins anew', async t => {
  const bus = startedBus(t)
  const work = new Work()
  work.holds = true
  new Monitor(bus, work.run, { interval: HOUR, immediate: true }).subscribe()
  await bus.start()
  await work.runs(1)
  const graceful = bus.graceful()
  await once(work.signals[0] as AbortSignal, 'abort')
  t.equal(work.count, 1)
  work.events.emit('go')
  await graceful
  await work.runs(2)
  t.equal(work.mostAtOnce, 1)
  work.events.emit('go')
})

test('a start that fails after the monitor leaves none running', async t => {
  const bus = startedBus(t)
  const work = new Work()
  new Monitor(bus, work.run, { interval: 5 }).subscribe()
  bus.subscribe('start', () => { throw new Error('no') }, { priority: 90 })
  await t.rejects(bus.start())
  await meanwhile(t)
  t.equal(work.count, 0)
})

test('on a bus that is started already a monitor begins at once, and unsubscribe() ends it', async t => {
  const bus = startedBus(t)
  await bus.start()
  const work = new Work()
  const monitor = new Monitor(bus, work.run, { interval: 5 }).subscribe()
  await work.runs(2)
  work.holds = true
  await work.runs(work.count + 1)
  const ended = monitor.unsubscribe()
  work.events.emit('go')
  await ended
  const { count } = work
  await meanwhile(t)
  await bus.stop()
  await bus.start()
  await meanwhile(t)
  t.equal(work.count, count)
})

test('a monitor keeps no process alive', async t => {
  const child = runNode(t, new URL('fixtures/monitored.js', import.meta.url))
  t.same(await child.ended, { code: 0, signal: null })
  t.equal(child.output, 'started\n')
})

test('what is no interval, no name, no option or no function is refused', t => {
  const bus = new Bus()
  const invalid = { code: 'FST_KEEP_ENGINE_OPTION_INVALID', exitCode: 78 }
  for (const interval of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '60' as unknown as number]) {
    t.throws(() => new Monitor(bus, () => {}, { interval }), { ...invalid, message: /task\.interval" must be a whole number of ms from 1 to 2147483647/ })
  }
  t.throws(() => new Monitor(bus, () => {}, { name: '' }), { ...invalid, message: /monitor\.name/ })
  t.throws(() => new Monitor(bus, () => {}, { intervall: 5 } as MonitorOptions), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', message: /did you mean "interval"/ })
  t.throws(() => new Monitor(bus, undefined as unknown as () => void), { ...invalid, message: /"callback" must be a function/ })
  t.throws(() => new BackgroundTask(() => {}, {} as { onError: () => void }), { ...invalid, message: /onError/ })
  t.end()
})

test('a background task does the same without a bus', async t => {
  keepAlive(t)
  const work = new Work()
  const errors: unknown[] = []
  const task = new BackgroundTask(signal => {
    work.run(signal).catch(t.error)
    if (work.count === 1) throw new Error('first')
  }, { interval: 5, onError: error => errors.push(error) })
  t.equal(task.isStarted, false)
  task.start()
  task.start()
  t.equal(task.isStarted, true)
  await work.runs(3)
  await task.stop()
  const { count } = work
  await meanwhile(t)
  t.equal(work.count, count)
  t.match(errors, [{ message: 'first' }])
  t.equal(errors.length, 1)
})

test('a background task that is started again while its last run is under way waits for the end of that one', async t => {
  keepAlive(t)
  const work = new Work()
  work.holds = true
  const task = new BackgroundTask(work.run, { interval: 5, immediate: true, onError: t.error })
  task.start()
  await work.runs(1)
  const stopped = task.stop()
  task.start()
  await meanwhile(t)
  t.equal(work.count, 1)
  work.events.emit('go')
  await stopped
  await work.runs(2)
  t.equal(work.mostAtOnce, 1)
  const ended = task.stop()
  work.events.emit('go')
  await ended
})
