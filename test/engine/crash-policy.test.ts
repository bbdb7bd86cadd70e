import { test, type Test } from 'tap'
import { Engine, CrashPolicy, type CrashPolicyOptions } from '@fastkeep/engine'
import { runNode, type Child } from '../child.js'

const crashing = new URL('fixtures/crashing.js', import.meta.url)

async function service (t: Test, env: NodeJS.ProcessEnv = {}): Promise<{ child: Child, url: string }> {
  const child = runNode(t, crashing, env)
  return { child, url: (await child.match(/serving (http:\S+)/))[1] as string }
}

const FAULTS = [
  { kind: 'throw', message: 'thrown fault', origin: 'uncaughtException', code: 'FST_KEEP_ENGINE_UNCAUGHT_EXCEPTION', what: 'uncaught exception' },
  { kind: 'reject', message: 'rejected fault', origin: 'unhandledRejection', code: 'FST_KEEP_ENGINE_UNHANDLED_REJECTION', what: 'unhandled rejection' },
] as const

for (const { kind, message, origin, code, what } of FAULTS) {
  test(`after an ${what} the request that is under way is answered, the bus exits, and the code is 70`, async t => {
    for (const RUN of ['runToExit', 'start']) {
      const { child, url } = await service(t, { RUN })
      const slow = fetch(`${url}/slow?ms=400`)
      await child.match(/slow begun/)
      await fetch(`${url}/fault?kind=${kind}`)
      t.equal(await (await slow).text(), 'slow')
      t.same(await child.ended, { code: 70, signal: null })
      t.match(child.output, /drain\nstop\nexit\n/)
      t.match(child.output, new RegExp(`fastkeep: ${what}: Error: ${message}\\n +at .*crashing\\.js`), 'the stack on standard error')
      t.match(child.output, new RegExp(`log fatal ${code} ${what}: ${message}; cause Error: ${message}\\n +at `), 'and in the log')
      t.match(child.output, `crash ${origin} ${code} true`)
      t.equal(child.output.match(/log fatal/g)?.length, 1)
    }
  })
}

test('a rejection with something that is no error is told as it is', async t => {
  const { child, url } = await service(t)
  await fetch(`${url}/fault?kind=text`)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, "fastkeep: unhandled rejection: 'text fault'")
})

test('requests that are not done at the deadline are cut', async t => {
  const { child, url } = await service(t, { OPTIONS: '{"deadline":300}' })
  const slow = fetch(`${url}/slow?ms=50000`)
  await child.match(/slow begun/)
  await fetch(`${url}/fault?kind=throw`)
  await t.rejects(slow)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, /did not stop cleanly: .*cut 1 request: GET \/slow/)
  t.match(child.output, /exit\n/)
})

test('a listener that never ends does not hold the end of a process that has crashed', async t => {
  const { child, url } = await service(t, { OPTIONS: '{"deadline":100}', HOLD: 'stop' })
  await fetch(`${url}/fault?kind=throw`)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, 'the stop is not done after 2100 ms; the process ends without the rest of it')
})

test('a further fault is told as well and cuts nothing: the request under way is answered and the code is 70', async t => {
  const { child, url } = await service(t)
  const slow = fetch(`${url}/slow?ms=1000`)
  await child.match(/slow begun/)
  await fetch(`${url}/fault?kind=reject&name=first`)
  await child.match(/drain\n/)
  child.kill('SIGUSR2')
  t.equal(await (await slow).text(), 'slow')
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, /fastkeep: unhandled rejection: Error: rejected first\n +at /)
  t.match(child.output, /fastkeep: while ending because of the first fault: uncaught exception: Error: thrown again\n +at /)
  t.equal(child.output.match(/log fatal/g)?.length, 2)
  t.equal(child.output.match(/^crash /gm)?.length, 1)
  t.match(child.output, /exit\n/)
})

test('a process that has crashed does not say 0, whoever ends it', async t => {
  const { child, url } = await service(t, { RUN: 'exits with 0' })
  await fetch(`${url}/fault?kind=throw`)
  t.same(await child.ended, { code: 70, signal: null })
  t.notMatch(child.output, /stop\n/)
})

test('a fault out of a listener that the start waits for calls the start off', async t => {
  for (const HOLD of ['', 'start']) {
    const child = runNode(t, crashing, { EARLY: 'start', HOLD, OPTIONS: '{"deadline":100}' })
    t.same(await child.ended, { code: 70, signal: null })
    t.match(child.output, /fastkeep: uncaught exception: Error: thrown early/)
    t.notMatch(child.output, /REENTRANT|from inside the listener/)
    if (HOLD === '') t.match(child.output, /exit\n/)
  }
})

test('a fault while the bus exits makes the code 70', async t => {
  const { child } = await service(t, { EARLY: 'stop' })
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, /exit\n/)
})

test('without the policy, or for what it does not take, Node does as ever', async t => {
  for (const env of [{ SUBSCRIBED: 'false' }, { OPTIONS: '{"on":"unhandledRejection"}' }]) {
    const { child, url } = await service(t, env)
    await fetch(`${url}/fault?kind=throw`).catch(() => {})
    t.same(await child.ended, { code: 1, signal: null })
    t.notMatch(child.output, /drain\n/)
  }
})

test('with exceptions alone a rejection that Node throws counts too', async t => {
  const { child, url } = await service(t, { OPTIONS: '{"on":"uncaughtException"}' })
  await fetch(`${url}/fault?kind=reject`)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, 'crash unhandledRejection FST_KEEP_ENGINE_UNHANDLED_REJECTION true')
})

test('the handlers are there from the start of the bus until it has exited, and not before', async t => {
  const count = (): number => process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection')
  const before = count()
  const engine = new Engine()
  new CrashPolicy(engine).subscribe()
  t.equal(count(), before)
  await engine.start()
  t.equal(count(), before + 2)
  await engine.stop()
  await engine.start()
  t.equal(count(), before + 2)
  await engine.exit()
  t.equal(count(), before)
})

test('options that are wrong are refused', t => {
  const engine = new Engine()
  for (const options of [{ deadline: -1 }, { deadline: 60_001 }, { on: 'exception' }, { exit: 0 }]) {
    t.throws(() => new CrashPolicy(engine, options as CrashPolicyOptions), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', exitCode: 78 })
  }
  t.throws(() => new CrashPolicy(engine, { deadlin: 1 } as CrashPolicyOptions), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN' })
  t.end()
})
