import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { balance } from '../../packages/engine/src/supervisor/balance.js'
import { folderOf, supervisedService, type Service } from './supervised-service.js'

interface Held {
  socket: Socket
  pid: number
}

/** Connections that stay, each of which a worker has answered. A few at a time, so that a worker hears of its share between. */
async function connections (t: Test, where: { port: number } | { path: string }, count: number): Promise<Held[]> {
  const held: Held[] = []
  while (held.length < count) held.push(...await together(t, where, 10))
  return held
}

async function together (t: Test, where: { port: number } | { path: string }, count: number): Promise<Held[]> {
  return await Promise.all(Array.from({ length: count }, async () => {
    const socket = 'path' in where ? connect(where.path) : connect(where.port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.setEncoding('utf8').write('GET / HTTP/1.1\r\nhost: test\r\n\r\n')
    let answer = ''
    while (!answer.endsWith('}')) answer += String((await once(socket, 'data'))[0])
    return { socket, pid: Number(/"pid":(\d+)/.exec(answer)?.[1]) }
  }))
}

function countsOf (held: ReadonlyArray<{ pid: number }>): number[] {
  const counts = new Map<number, number>()
  for (const { pid } of held) counts.set(pid, (counts.get(pid) ?? 0) + 1)
  return [...counts.values()].sort((a, b) => a - b)
}

/** A second worker that serves when the first one has taken all that there were. */
async function secondWorker ({ supervisor }: Service): Promise<void> {
  supervisor.kill('SIGTTIN')
  await supervisor.match(/2 workers serve\n/)
}

test('long-lived connections go to the worker that has fewer, however many the other one could take', async t => {
  const service = await supervisedService(t, { workers: 1 })
  const first = await connections(t, service, 40)
  await secondWorker(service)
  const second = await connections(t, service, 60)
  const [least = 0, most = 0] = countsOf([...first, ...second])
  t.equal(least + most, 100, 'none was lost')
  t.ok(most - least <= 20, `${least} and ${most}`)
})

test('the same over a unix socket', async t => {
  const path = join(folderOf(t), 'app.sock')
  const service = await supervisedService(t, { workers: 1, listen: { path } }, {}, /serve on unix:/)
  const first = await connections(t, { path }, 40)
  await secondWorker(service)
  const second = await connections(t, { path }, 60)
  const [least = 0, most = 0] = countsOf([...first, ...second])
  t.equal(least + most, 100)
  t.ok(most - least <= 20, `${least} and ${most}`)
})

test('when the worker that accepts dies, the one that had paused takes the connections, and none is refused', async t => {
  const service = await supervisedService(t, { workers: 1 })
  const first = await connections(t, service, 40)
  await secondWorker(service)
  const second = await connections(t, service, 60)
  const other = second.find(({ pid }) => pid !== first[0]?.pid)
  t.not(other, undefined)
  process.kill(other?.pid as number, 'SIGKILL')
  t.equal((await connections(t, service, 20)).length, 20)
})

test('a worker that has paused drains, reloads and ends as any other', async t => {
  const service = await supervisedService(t, { workers: 1 })
  await connections(t, service, 40)
  await secondWorker(service)
  // Which of them accepts is chance, until one has more than its share.
  const isOnePaused = async (): Promise<boolean> => (await service.status()).workers.some(({ isPaused }) => isPaused)
  for (let rounds = 0; rounds < 20 && !await isOnePaused(); rounds++) await connections(t, service, 10)
  t.ok(await isOnePaused())
  service.supervisor.kill('SIGHUP')
  await service.supervisor.match(/All 2 workers are new/)
  t.match(await service.get(), { generation: '0' })
  service.supervisor.kill('SIGTERM')
  t.same(await service.supervisor.ended, { code: 0, signal: null })
})

test('balance: false leaves it to the system: no worker pauses, for nothing could have it accept again', async t => {
  const service = await supervisedService(t, { workers: 1, balance: false })
  const first = await connections(t, service, 40)
  await secondWorker(service)
  const [pid] = first.map(({ pid }) => pid)
  // Until the first one has more than the share that it would have.
  const second = await connections(t, service, 60)
  t.equal(first.length + second.length, 100)
  t.ok((await service.status()).workers.every(({ isPaused }) => !isPaused), `${[...first, ...second].filter(one => one.pid === pid).length} of 100 have the first worker`)
})

test('the share is a tenth above the mean and at least 8; the one with the fewest always accepts', t => {
  const load = (connections: number, isPaused = false) => ({ connections, isPaused })
  t.same(balance([load(13, true), load(0)]), { most: 15, resumed: [] })
  t.same(balance([load(13, true), load(15, true)]), { most: 22, resumed: [load(13, true)] })
  t.same(balance([load(1000), load(1000)]), { most: 1100, resumed: [] })
  t.same(balance([load(5, true)]), { most: Number.MAX_SAFE_INTEGER, resumed: [load(5, true)] }, 'nobody is there to take them')
  t.end()
})
