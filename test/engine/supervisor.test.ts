import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { Child, plainEnvironment, runNode } from '../child.js'
import { needsRoot } from '../programs.js'
import { folderOf, generationOf, isAlive, supervisedService, SUPERVISOR } from './supervised-service.js'

const NOBODY = 65534

test('the workers serve on the supervisor\'s port, which itself answers nobody, and SIGTERM ends them all with 0', async t => {
  const { supervisor, get, status } = await supervisedService(t)
  const { workers } = await status()
  const pids = workers.map(({ pid }) => pid)
  t.equal(pids.length, 2)
  t.ok(pids.includes((await get()).pid))
  t.notOk(pids.includes(supervisor.pid))
  supervisor.kill('SIGTERM')
  t.same(await supervisor.ended, { code: 0, signal: null })
  t.same(pids.map(isAlive), [false, false])
})

test('a stop waits for the request under way', async t => {
  const { supervisor, get } = await supervisedService(t)
  const slow = get('/slow?ms=1500')
  await supervisor.match(/slow begun/)
  supervisor.kill('SIGTERM')
  t.match(await slow, { generation: '0' })
  t.match(await supervisor.ended, { code: 0 })
})

test('the second SIGTERM cuts the request, and the exit code says so', async t => {
  const { supervisor, get } = await supervisedService(t)
  const slow = get('/slow?ms=60000')
  await supervisor.match(/slow begun/)
  supervisor.kill('SIGTERM')
  await supervisor.match(/Bus STOPPING/)
  supervisor.kill('SIGTERM')
  await t.rejects(slow)
  t.match(await supervisor.ended, { code: 70 })
  t.match(supervisor.output, /not all workers ended cleanly: worker \d \(\d+\) ended with code 70/)
})

test('workers that cannot start end the supervisor with their own exit code and words, and nobody stays', async t => {
  for (const [generation, code, why] of [
    ['throws', 1, /worker \d \(\d+\) did not come to serve: it ended with code 1 before it was ready/],
    ['fails', 70, /did not come to serve: "start" failed in anonymous: no database for this version/],
  ] as const) {
    const GENERATION = join(folderOf(t), 'generation')
    writeFileSync(GENERATION, generation)
    const child = runNode(t, SUPERVISOR, { GENERATION })
    t.same(await child.ended, { code, signal: null })
    t.match(child.output, why)
  }
  const GENERATION = join(folderOf(t), 'generation')
  writeFileSync(GENERATION, 'hangs')
  const late = runNode(t, SUPERVISOR, { GENERATION, OPTIONS: '{"readyTimeout":1500}' })
  t.same(await late.ended, { code: 75, signal: null })
  t.match(late.output, /it was not ready within 1500 ms; does its program register @fastkeep\/engine and listen\?/)
})

test('wrong options are refused by name', async t => {
  for (const [OPTIONS, LISTEN, why] of [
    ['{"workers":0}', '{}', /workers.*"auto" or a whole number from 1 to 1024/],
    ['{"wokers":2}', '{}', /wokers.*workers/],
    ['{}', '{"prot":2}', /prot.*port/],
    ['{"program":"/nowhere.js"}', '{}', /the program \/nowhere\.js cannot be read/],
    ['{"secrets":["/nowhere.pem"]}', '{}', /the secret \/nowhere\.pem cannot be read/],
  ] as const) {
    const child = runNode(t, SUPERVISOR, { OPTIONS, LISTEN })
    const { code } = await child.ended
    t.not(code, 0)
    t.match(child.output, why)
    t.notMatch(child.output, /serves/)
  }
})

test('SIGTTIN is one worker more, SIGTTOU one less', async t => {
  const { supervisor, status } = await supervisedService(t)
  supervisor.kill('SIGTTIN')
  await supervisor.match(/3 workers serve\n/)
  t.match(await status(), { target: 3, workers: [{ slot: 1 }, { slot: 2 }, { slot: 3, state: 'ready' }] })
  supervisor.kill('SIGTTOU')
  await supervisor.match(/2 workers serve\n/)
  await supervisor.match(/worker exit \d+/)
  t.equal((await status()).target, 2)
})

test('graceful is passed on to each worker, and a failure of one is told', async t => {
  const { supervisor, status, deploy } = await supervisedService(t)
  const { workers: [first, second] } = await status()
  supervisor.kill('SIGUSR1')
  await supervisor.match(new RegExp(`graceful ${first?.pid}\n`))
  await supervisor.match(new RegExp(`graceful ${second?.pid}\n`))
  deploy('not graceful')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 2 workers are new/)
  supervisor.kill('SIGUSR1')
  await supervisor.match(/error .*worker 1 \(\d+\): .*no graceful/)
})

test('what one worker says the others hear, itself not', async t => {
  const { get, status } = await supervisedService(t, { workers: 3 })
  const { pid: speaker } = await get('/say/hello') as { pid: number }
  const pids = (await status()).workers.map(({ pid }) => pid)
  const heard = new Map<number, unknown>()
  while (heard.size < pids.length || [...heard].some(([pid, words]) => pid !== speaker && (words as []).length === 0)) {
    const answer = await get('/heard')
    heard.set(answer.pid, answer.heard)
  }
  for (const pid of pids) t.same(heard.get(pid), pid === speaker ? [] : ['hello'])
})

test('a worker that has served its requests gives its place to a new one', async t => {
  const { supervisor, get, status } = await supervisedService(t, { workers: 1, recycle: { requests: 20 } })
  const [before] = (await status()).workers
  for (let count = 0; count < 30; count++) await get()
  await supervisor.match(new RegExp(`Worker 1 \\(${before?.pid}\\) has had its time and is replaced`))
  await supervisor.match(new RegExp(`worker exit ${before?.pid}`))
  t.not((await get()).pid, before?.pid)
})

test('as root: no code of the program runs as root, and what only root may read comes from the supervisor', { skip: needsRoot() }, async t => {
  const folder = folderOf(t)
  const SECRET = join(folder, 'key.pem')
  writeFileSync(SECRET, 'the key', { mode: 0o600 })
  const { get } = await supervisedService(t, { user: 'nobody', umask: 0o077, secrets: [SECRET] }, { SECRET })
  t.match(await get(), { startedAs: NOBODY, uid: NOBODY, umask: 0o077, secret: 'the key' })
})

test('as root: a low port stays the workers\' over crashes and reloads', { skip: needsRoot() }, async t => {
  const { supervisor, get } = await supervisedService(t, { user: 'nobody', workers: 1 }, { LISTEN: '{"port":89}' })
  const { pid } = await get()
  process.kill(pid, 'SIGKILL')
  t.not((await get()).pid, pid)
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 1 workers are new/)
  t.equal((await get()).uid, NOBODY)
})

test('a unix socket is the supervisor\'s to make and to remove', async t => {
  const path = join(folderOf(t), 'app.sock')
  const child = runNode(t, SUPERVISOR, { LISTEN: JSON.stringify({ path }) })
  await child.match(/Bus STARTED/)
  t.equal(existsSync(path), true)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
  t.equal(existsSync(path), false)
})

test('the PID file names the supervisor, and workers leave it alone', async t => {
  const PID_FILE = join(folderOf(t), 'app.pid')
  const { supervisor } = await supervisedService(t, {}, { PID_FILE, FASTKEEP_PID_FILE: PID_FILE })
  t.equal(readFileSync(PID_FILE, 'utf8'), `${supervisor.pid}\n`)
  supervisor.kill('SIGTERM')
  await supervisor.ended
  t.equal(existsSync(PID_FILE), false)
})

test('a worker does not restart by itself: that is its supervisor\'s business', async t => {
  const { get } = await supervisedService(t, { workers: 1 })
  t.match(await get('/reload'), { error: /it is a worker; reload or restart its supervisor/ })
})

test('a supervisor starts a second time', async t => {
  const child = runNode(t, SUPERVISOR, { GENERATION: generationOf(t, '0'), TWICE: '1' })
  await child.match(/Bus STOPPED[^]*Bus STARTED/)
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
})

test('as root: code that would run before the change of user, and secrets by a path of others, are refused', { skip: needsRoot() }, async t => {
  const folder = folderOf(t)
  const key = join(folder, 'key.pem')
  writeFileSync(key, 'the key', { mode: 0o600 })
  chmodSync(folder, 0o777)
  for (const [OPTIONS, env, why] of [
    [{ user: 'nobody', execArgv: ['--require', './x.cjs'] }, [], /execArgv: --require would run code as root/],
    [{ user: 'nobody' }, ['NODE_OPTIONS=--require=node:os'], /NODE_OPTIONS: --require=node:os would run code as root/],
    [{ user: 'nobody', secrets: [key] }, [], /the secret .*key\.pem is not read: .*, above .*key\.pem, can be written to by everybody/],
  ] as const) {
    const child = new Child(t, 'env', [...env, process.execPath, fileURLToPath(SUPERVISOR)], { env: { ...plainEnvironment(), OPTIONS: JSON.stringify(OPTIONS) } })
    t.match(await child.ended, { code: 78 })
    t.match(child.output, why)
  }
})
