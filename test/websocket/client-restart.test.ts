import { test, type Test } from 'tap'
import type { Client, Closed } from '@fastkeep/websocket/client'
import { runNode } from '../child.js'
import { client, next } from './clients.js'

const CLIENTS = 500

interface Crowd {
  clients: Client[]
  /** What they were closed with. */
  closes: Closed[]
  /** The processes that answer them now. */
  pids: () => Promise<Set<unknown>>
  /** Until each has lost its connection and is subscribed to its topic over another one. */
  allBack: Promise<unknown>
}

/** Clients as an application has them, with the defaults of the library. */
async function crowd (t: Test, port: string): Promise<Crowd> {
  const closes: Closed[] = []
  const clients = Array.from({ length: CLIENTS }, () => client(t, { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` }, '/', { minDelay: 500 }))
  await Promise.all(clients.map(async made => {
    made.subscribe('news', () => {})
    await next(made, 'subscribed')
    made.on('close', closed => closes.push(closed))
  }))
  return {
    clients,
    closes,
    pids: async () => new Set(await Promise.all(clients.map(made => made.request('pid')))),
    allBack: Promise.all(clients.map(made => next(made, 'subscribed'))),
  }
}

function areAllBackAsTold (t: Test, { clients, closes }: Crowd): void {
  t.equal(closes.length, CLIENTS, 'each lost its connection once')
  t.same([...new Set(closes.map(({ code }) => code))], [1012], 'and was told that the service restarts')
  t.ok(closes.every(({ delay = Infinity }) => delay <= 1000), 'and came back within the window')
  t.ok(clients.every(({ state }) => state === 'open'), 'none gave up')
}

test('500 clients of a supervisor that reloads are all back, each with a new worker', { timeout: 60_000 }, async t => {
  const supervisor = runNode(t, new URL('fixtures/supervisor.js', import.meta.url), { PROGRAM: 'restartable.js' })
  const [, port = ''] = await supervisor.match(/http:\/\/127\.0\.0\.1:(\d+)/)
  await supervisor.match(/STARTED/)
  const present = await crowd(t, port)
  const before = await present.pids()
  t.equal(before.size, 2)
  const begin = performance.now()
  supervisor.kill('SIGHUP')
  await present.allBack
  t.comment(`all back after ${Math.round(performance.now() - begin)} ms`)
  areAllBackAsTold(t, present)
  const after = await present.pids()
  t.notOk([...after].some(pid => before.has(pid)), 'no old worker answers')
})

test('500 clients of a process that restarts in place are all back, with its successor', { timeout: 60_000 }, async t => {
  const service = runNode(t, new URL('fixtures/restartable.js', import.meta.url))
  const [, pid, port = ''] = await service.match(/serving (\d+) on http:\/\/127\.0\.0\.1:(\d+)/)
  const present = await crowd(t, port)
  t.same([...await present.pids()], [Number(pid)])
  const begin = performance.now()
  service.kill('SIGUSR2')
  const [, successor] = await service.match(new RegExp(`serving (?!${pid} )(\\d+) on`))
  t.teardown(() => { process.kill(Number(successor), 'SIGKILL') })
  await present.allBack
  t.comment(`all back after ${Math.round(performance.now() - begin)} ms`)
  areAllBackAsTold(t, present)
  t.same([...await present.pids()], [Number(successor)])
})
