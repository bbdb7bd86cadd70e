import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { LoopWatch, type LoopBlock } from '@fastkeep/engine'
import { Child, plainEnvironment } from '../child.js'

const fixture = fileURLToPath(new URL('fixtures/blocking.js', import.meta.url))

/** A process that blocks its loop each time it is written to. */
async function blocking (t: Test, WAY: string, env: NodeJS.ProcessEnv = {}): Promise<{ child: Child, block: () => void }> {
  const child = new Child(t, process.execPath, [fixture], { env: { ...plainEnvironment(), WAY, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  await child.match(/waiting/)
  return { child, block: () => child.process.stdin?.write('x') }
}

async function told (child: Child): Promise<LoopBlock> {
  return JSON.parse((await child.match(/told (.*)\n/))[1] as string) as LoopBlock
}

test('JavaScript that blocks is named on standard error while it does, and to the callback when the loop turns', async t => {
  const { child, block } = await blocking(t, 'javascript')
  block()
  await child.match(/the event loop of process \d+ has not turned for \d+ ms, .*in:\n {4}at guiltyLoop \(file:.*blocking\.js:11:\d+\)\n/)
  const { blockedFor, lasted, stack } = await told(child)
  t.match(child.output, /has not turned[^]*blocked 1[^]*told/, 'it was named before it ended')
  t.ok(blockedFor >= 125 && lasted >= 2_900 && lasted > blockedFor)
  t.match(stack[0], /^guiltyLoop \(file:.*blocking\.js:11:\d+\)$/)
  await child.match(/turned again undefined\n/)
  t.equal(child.output.match(/has not turned/g)?.length, 1, 'once')
})

test('native code that blocks is named when it ends, with the function that called it', async t => {
  const { child, block } = await blocking(t, 'native')
  block()
  const { stack, namedAfter } = await told(child)
  t.ok(stack.some(frame => frame.startsWith('guiltySleep (file:')))
  t.ok(namedAfter > 250)
  t.match(child.output, /in native code or without the processor, then in:/)
})

test('a second block is told, too', async t => {
  const { child, block } = await blocking(t, 'twice', { BLOCKED_AFTER: '200' })
  block()
  await child.match(/told/)
  block()
  await child.match(/told[^]*told/)
  child.process.stdin?.end()
  t.same(await child.ended, { code: 0, signal: null })
  t.equal(child.output.match(/has not turned/g)?.length, 2)
})

test('while an inspector is open nobody is stopped and nothing told', async t => {
  const { child, block } = await blocking(t, 'debugged')
  block()
  await child.match(/debugger open/)
  block()
  await child.match(/blocked 2/)
  child.kill('SIGKILL')
  await child.ended
  t.notMatch(child.output, /has not turned/)
})

test('a process that was suspended has not blocked', async t => {
  const { child, block } = await blocking(t, 'twice')
  child.kill('SIGSTOP')
  block()
  await new Promise(resolve => setTimeout(resolve, 1_000))
  child.kill('SIGCONT')
  // What is told first is the real block that follows.
  t.match((await told(child)).stack[0], /^guiltyLoop/)
})

test('it keeps no process alive', async t => {
  const { child } = await blocking(t, 'idle')
  child.process.stdin?.end()
  t.same(await child.ended, { code: 0, signal: null })
})

test('it starts and stops again and again, and refuses what it does not know', async t => {
  const watch = new LoopWatch({ blockedAfter: 60_000 })
  for (let round = 0; round < 3; round++) {
    await watch.start()
    await watch.start()
    t.equal(watch.isStarted, true)
    await watch.stop()
    t.equal(watch.isStarted, false)
  }
  await watch.stop()
  t.throws(() => new LoopWatch({ blockedAfter: 1 }), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', message: /"blockedAfter".*from 20 to 3600000/ })
  t.throws(() => new LoopWatch({ onBlock: () => {} } as never), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN', message: /did you mean "onBlocked"/ })
})
