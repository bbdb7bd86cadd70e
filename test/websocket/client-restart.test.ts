import { test, type Test } from 'tap'
import type { Client, Closed } from '@fastkeep/websocket/client'
import { runNode } from '../child.js'
import { client, next } from './clients.js'

const CLIENTS = 500

interface Crowd {
  clients: Client[]
  /** How the connection of each ended, not the attempts to come back: of those one may come upon a worker that drains too. */
  ends: Map<Client, Closed>
  delays: number[]
  /** The processes that they began with. */
  before: Set<unknown>
}

/** Clients as an application has them, with the defaults of the library. */
async function crowd (t: Test, port: string): Promise<Crowd> {
  const ends = new Map<Client, Closed>()
  const delays: number[] = []
  const clients = Array.from({ length: CLIENTS }, () => client(t, { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` }, '/', { minDelay: 500 }))
  await Promise.all(clients.map(async made => {
    made.subscribe('news', () => {})
    await next(made, 'subscribed')
    made.on('close', closed => {
      if (!ends.has(made)) ends.set(made, closed)
      delays.push(closed.delay ?? Infinity)
    })
  }))
  return { clients, ends, delays, before: new Set(await Promise.all(clients.map(made => made.request('pid')))) }
}

/** Until another process answers each of them; in a rolling reload it may have been sent to an old one once more. */
async function allBack ({ clients, before }: Crowd): Promise<void> {
  await Promise.all(clients.map(async made => {
    for (;;) {
      const pid = await made.request('pid').catch(() => undefined)
      if (pid !== undefined && !before.has(pid)) return
      await next(made, 'open')
    }
  }))
}

function areBackAsTold (t: Test, { clients, ends, delays }: Crowd): void {
  t.equal(ends.size, CLIENTS, 'each lost its connection')
  t.same(new Set([...ends.values()].map(({ code }) => code)), new Set([1012]), 'and was told that the service restarts')
  t.ok(delays.every(delay => delay <= 2000), 'and came again within the window')
  t.ok(clients.every(({ state }) => state === 'open'), 'none gave up')
}

test('500 clients of a supervisor that reloads are all back, each with a new worker', { timeout: 60_000 }, async t => {
  const supervisor = runNode(t, new URL('fixtures/supervisor.js', import.meta.url), { PROGRAM: 'restartable.js' })
  const [, port = ''] = await supervisor.match(/http:\/\/127\.0\.0\.1:(\d+)/)
  await supervisor.match(/STARTED/)
  const present = await crowd(t, port)
  t.equal(present.before.size, 2)
  const begin = performance.now()
  supervisor.kill('SIGHUP')
  await allBack(present)
  t.comment(`all back after ${Math.round(performance.now() - begin)} ms`)
  areBackAsTold(t, present)
})

test('500 clients of a process that restarts in place are all back, with its successor', { timeout: 60_000 }, async t => {
  const service = runNode(t, new URL('fixtures/restartable.js', import.meta.url))
  const [, pid, port = ''] = await service.match(/serving (\d+) on http:\/\/127\.0\.0\.1:(\d+)/)
  const present = await crowd(t, port)
  t.same([...present.before], [Number(pid)])
  const begin = performance.now()
  service.kill('SIGUSR2')
  const [, successor] = await service.match(new RegExp(`serving (?!${pid} )(\\d+) on`))
  t.teardown(() => { process.kill(Number(successor), 'SIGKILL') })
  await allBack(present)
  t.comment(`all back after ${Math.round(performance.now() - begin)} ms`)
  areBackAsTold(t, present)
})
