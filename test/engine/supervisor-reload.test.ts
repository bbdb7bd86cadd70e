import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { readPIDFile, type WorkerStatus } from '@fastkeep/engine'
import { failedIn } from '../../bench/load/client.js'
import { folderOf, isAlive, supervisedService } from './supervised-service.js'
import { LOADS, underLoad } from './under-load.js'

test('SIGHUP replaces the workers one after the other, each new one before the old one', async t => {
  const { supervisor, status, deploy, get } = await supervisedService(t)
  const before = (await status()).workers.map(({ pid }) => pid)
  deploy('1')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 2 workers are new/)
  const after = (await status()).workers.filter(({ state }) => state === 'ready')
  t.match(after, [{ slot: 1, generation: 2 }, { slot: 2, generation: 2 }])
  for (const { pid } of after) t.notOk(before.includes(pid))
  t.match(await get(), { generation: '1' })
  for (const pid of before) await supervisor.match(new RegExp(`worker exit ${pid}\n`))
  for (const [index, pid] of before.entries()) {
    t.match(supervisor.output, new RegExp(`Worker ${index + 1} \\(${after[index]?.pid}\\) serves[^]*worker exit ${pid}\n`))
  }
})

test('a request that is under way is answered by the old version', async t => {
  const { supervisor, deploy, get } = await supervisedService(t)
  const slow = get('/slow?ms=1500')
  await supervisor.match(/slow begun/)
  deploy('1')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 2 workers are new/)
  t.same(await slow, { generation: '0' })
})

test('a reload whose first worker fails changes nothing and says why; the next one succeeds', async t => {
  const { supervisor, status, deploy, get } = await supervisedService(t, { readyTimeout: 8000 })
  const before = (await status()).workers.map(({ pid }) => pid)
  for (const [generation, why] of [
    ['throws', /error .*the reload failed, the present workers go on serving: worker 1 \(\d+\) did not come to serve: it ended with code 1/],
    ['fails', /error .*the present workers go on serving: .* no database for this version/],
    ['hangs', /error .*the present workers go on serving: .* not ready within 8000 ms/],
  ] as const) {
    deploy(generation)
    supervisor.kill('SIGHUP')
    await supervisor.match(why)
    t.match(await get(), { generation: '0' })
    t.same((await status()).workers.map(({ pid }) => pid), before, generation)
    t.equal((await status()).generation, 1)
  }
  deploy('1')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 2 workers are new/)
  t.match(await get(), { generation: '1' })
})

test('a third reload waits for the workers of the first one, and cuts nobody', async t => {
  const { supervisor, deploy, get } = await supervisedService(t, { workers: 1 })
  const slow = get('/slow?ms=4500')
  await supervisor.match(/slow begun/)
  for (const generation of ['1', '2', '3']) {
    const held = get('/slow?ms=4500')
    await supervisor.match(new RegExp(`(?:slow begun[^]*){${Number(generation) + 1}}`))
    deploy(generation)
    supervisor.kill('SIGHUP')
    await supervisor.match(new RegExp(`worker \\d+ generation ${generation}\n`))
    held.catch(() => {})
    if (generation === '3') t.match(await held, { generation: '2' })
    else await supervisor.match(new RegExp(`(?:accepts no more[^]*){${generation}}`))
  }
  t.match(await slow, { generation: '0' })
  t.match(supervisor.output, /The reload waits for older workers that still drain/)
})

test('SIGUSR2 replaces the supervisor too: the new one has the port, the PID file and workers of its own', async t => {
  const PID_FILE = join(folderOf(t), 'app.pid')
  const { supervisor, deploy, get } = await supervisedService(t, {}, { PID_FILE })
  const { pid: worker } = await get()
  deploy('1')
  supervisor.kill('SIGUSR2')
  await supervisor.match(new RegExp(`supervisor exit ${supervisor.pid}\n`))
  const { pid = 0, state } = readPIDFile(PID_FILE) as { pid?: number, state: string }
  t.teardown(() => { if (isAlive(pid)) process.kill(pid, 'SIGKILL') })
  t.equal(state, 'running')
  t.not(pid, supervisor.pid)
  t.match(await get(), { generation: '1' })
  t.equal(isAlive(worker), false)
  process.kill(pid, 'SIGTERM')
  await supervisor.ended
})

test('a successor of the supervisor whose workers fail leaves everything as it was', async t => {
  const PID_FILE = join(folderOf(t), 'app.pid')
  const { supervisor, deploy, get } = await supervisedService(t, {}, { PID_FILE })
  deploy('fails')
  supervisor.kill('SIGUSR2')
  await supervisor.match(/error .*the restart failed, this process goes on serving: the successor says: .*no database for this version/)
  t.match(await get(), { generation: '0' })
  t.equal(readFileSync(PID_FILE, 'utf8'), `${supervisor.pid}\n`)
})

const RELOADS = 4

for (const [name, options] of Object.entries(LOADS)) {
  test(`under load, ${name}: rolling reloads and a new supervisor lose nothing`, async t => {
    const { supervisor, port, deploy } = await supervisedService(t, {}, { IDLE_WINDOW: '1500' })
    const report = await underLoad(t, { host: '127.0.0.1', port, ...options })
    for (let generation = 1; generation <= RELOADS; generation++) {
      deploy(String(generation))
      supervisor.kill('SIGHUP')
      await supervisor.match(new RegExp(`(?:All 2 workers are new[^]*){${generation}}`))
    }
    supervisor.kill('SIGUSR2')
    const [, successor] = await supervisor.match(/Successor (\d+) serves/) as unknown as [string, string]
    t.teardown(() => { if (isAlive(Number(successor))) process.kill(Number(successor), 'SIGKILL') })
    await supervisor.match(new RegExp(`supervisor exit ${supervisor.pid}\n`))
    const counted = await report()
    t.comment(JSON.stringify(counted))
    t.ok(counted.ok > 50, 'there was a load')
    t.equal(failedIn(counted), 0, JSON.stringify(counted))
  })
}

test('a new worker starts with less of the processors than those that serve, where it can get as much again', async t => {
  const { supervisor, deploy, status } = await supervisedService(t)
  const priorities = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(thread => getPriority(Number(thread)))
  const own = getPriority()
  const [, capabilities] = /^CapEff:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) as unknown as [string, string]
  const mayRaise = (BigInt(`0x${capabilities}`) >> 23n & 1n) === 1n
  deploy('hangs')
  supervisor.kill('SIGHUP')
  let starting: WorkerStatus | undefined
  while (starting === undefined) starting = (await status()).workers.find(({ state }) => state === 'starting')
  t.same(new Set(priorities(starting.pid)), new Set([mayRaise ? Math.min(19, own + 10) : own]))
  process.kill(starting.pid, 'SIGKILL')
  await supervisor.match(/the reload failed/)
  deploy('1')
  supervisor.kill('SIGHUP')
  await supervisor.match(/All 2 workers are new/)
  const ready = (await status()).workers.filter(({ state }) => state === 'ready')
  t.equal(ready.length, 2)
  for (const { pid } of ready) t.same(new Set(priorities(pid)), new Set([own]))
})
