import { test } from 'tap'
import { Bus, type ChannelFailures } from '@fastkeep/engine'
import { statesOf } from './states-of.js'

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

test('a failing graceful listener is told to its caller and does not keep the stop from coming', async t => {
  const bus = new Bus()
  bus.subscribe('graceful', () => { throw new Error('bad certificate') })
  await bus.start()
  const outcome = t.rejects(bus.graceful(), { message: /bad certificate/ })
  await bus.stop()
  await outcome
})
