import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { runNode } from '../child.js'
import { generationOf, isAlive, supervisedService, SUPERVISOR } from './supervised-service.js'

test('while the only worker is away, connections wait for the next one', async t => {
  const { supervisor, get, status } = await supervisedService(t, { workers: 1 })
  const [worker] = (await status()).workers
  process.kill((worker as { pid: number }).pid, 'SIGKILL')
  const answers = await Promise.all(Array.from({ length: 5 }, () => get()))
  t.equal(new Set(answers.map(({ pid }) => pid)).size, 1)
  t.not(answers[0]?.pid, worker?.pid)
  t.match(supervisor.output, /error FST_KEEP_ENGINE_WORKER_ENDED Worker 1 \(\d+\) ended with SIGKILL/)
})

test('workers that end again and again come back with growing pauses, and that is told', async t => {
  const { supervisor, status, get } = await supervisedService(t, { workers: 1 })
  for (let count = 0; count < 5; count++) {
    const { pid } = await get()
    process.kill(pid, 'SIGKILL')
    await supervisor.match(new RegExp(`\\(${pid}\\) ended with SIGKILL`))
  }
  await supervisor.match(/fatal FST_KEEP_ENGINE_CRASH_LOOP/)
  t.match(supervisor.output, /Worker 1 is started again in \d+ ms/)
  t.equal((await status()).crashLoop, true)
  await get()
})

test('when the supervisor is killed, its workers finish what is under way and end', async t => {
  const { supervisor, get, status } = await supervisedService(t)
  const { workers } = await status()
  const slow = get('/slow?ms=1000')
  await supervisor.match(/slow begun/)
  supervisor.kill('SIGKILL')
  t.match(await slow, { generation: '0' })
  // Its output is open for as long as one of them lives.
  await supervisor.ended
  t.same(workers.map(({ pid }) => isAlive(pid)), [false, false])
})

test('a worker whose event loop is blocked is replaced, and what blocked it is told before', async t => {
  const { supervisor, get, status } = await supervisedService(t, { workers: 1, blockedAfter: 2000 })
  const [before] = (await status()).workers
  await t.rejects(get('/block?ms=60000'))
  await supervisor.match(/has not turned for \d+ ms, [^\n]*in:\n {4}at <anonymous> \(file:.*supervised\.js:\d+:\d+\)\n/)
  await supervisor.match(/error FST_KEEP_ENGINE_WORKER_BLOCKED Worker 1 \(\d+\) has given no sign of life for \d+ ms/)
  t.not((await get()).pid, before?.pid)
})

test('what watches the event loop of a worker runs before its first connection can come', async t => {
  const { supervisor } = await supervisedService(t, { workers: 1 })
  t.match(supervisor.output, /about to listen, watched: true\n/)
})

test('a worker that somebody ends by a signal finishes what is under way, and its place is filled meanwhile', async t => {
  const { supervisor, get, status } = await supervisedService(t, { workers: 1 })
  const [before] = (await status()).workers
  const slow = get('/slow?ms=3000')
  await supervisor.match(/slow begun/)
  process.kill(before?.pid as number, 'SIGTERM')
  await supervisor.match(/FST_KEEP_ENGINE_WORKER_LEAVING Worker 1 \(\d+\) drains and exits/)
  await supervisor.match(/serves[^]*Worker 1 \(\d+\) serves/)
  t.match((await status()).workers, [{ slot: 1, state: 'ready' }, { slot: 1, pid: before?.pid, state: 'retiring' }])
  t.match(await slow, { generation: '0' })
})

test('a supervisor that was held up for long kills none of its workers for that', async t => {
  const { supervisor, status } = await supervisedService(t, { blockedAfter: 2000 })
  const { workers: before } = await status()
  supervisor.kill('SIGSTOP')
  await delay(3500)
  supervisor.kill('SIGCONT')
  await delay(2500)
  t.same((await status()).workers.map(({ pid }) => pid), before.map(({ pid }) => pid))
})

test('a SIGTERM to the whole group cuts nobody', async t => {
  const child = runNode(t, SUPERVISOR, { GENERATION: generationOf(t, '0') }, [], { detached: true })
  const [, port] = await child.match(/serve on http:\/\/127\.0\.0\.1:(\d+)/) as unknown as [string, string]
  const slow = fetch(`http://127.0.0.1:${port}/slow?ms=1500`)
  await child.match(/slow begun/)
  process.kill(-child.pid, 'SIGTERM')
  t.equal((await slow).status, 200)
  t.same(await child.ended, { code: 0, signal: null })
})

test('when the last worker dies while its replacement fails, the place is filled as soon as that can be', async t => {
  const { supervisor, status, deploy, get } = await supervisedService(t, { workers: 1, readyTimeout: 3000 })
  const [worker] = (await status()).workers
  deploy('hangs')
  supervisor.kill('SIGHUP')
  await supervisor.match(/Caught SIGHUP/)
  process.kill((worker as { pid: number }).pid, 'SIGKILL')
  await supervisor.match(/error .*the reload failed, and no worker is left; another one is being started: /)
  deploy('2')
  t.match(await get(), { generation: '2' })
})

test('what no worker can say ends that worker, and nobody else', async t => {
  const { supervisor, get } = await supervisedService(t, { workers: 1 })
  for (const text of ['null', '{', '{"type":"beat"}', '{"type":"ready","urls":[],"keepAliveTimeout":1e12,"longestStop":0,"longestDrain":0}', '{"type":"__proto__"}']) {
    const { pid } = await get()
    await get(`/garbage?text=${encodeURIComponent(text)}`)
    await supervisor.match(new RegExp(`\\(${pid}\\) ended with`))
  }
  t.ok((await get()).pid)
  t.notMatch(supervisor.output, /TypeError|SyntaxError/)
})

test('when the supervisor is killed while a worker starts, that one ends too', async t => {
  const { supervisor, deploy } = await supervisedService(t, { workers: 1 })
  deploy('hangs')
  supervisor.kill('SIGHUP')
  await supervisor.match(/Caught SIGHUP/)
  await delay(500)
  supervisor.kill('SIGKILL')
  t.match(await supervisor.ended, { signal: 'SIGKILL' }, 'nobody holds its output open')
})
