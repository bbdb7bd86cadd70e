import { existsSync, lstatSync } from 'node:fs'
import http from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { runNode } from '../child.js'
import { needsRoot } from '../programs.js'
import { folderOf } from './supervised-service.js'

const fixture = new URL('fixtures/supervisor.js', import.meta.url)
const doors = fileURLToPath(new URL('fixtures/doors.js', import.meta.url))

async function get (target: http.RequestOptions): Promise<string> {
  const request = http.get({ ...target, agent: false })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  return await text(response)
}

test('a supervisor holds several listeners, TCP and unix, and a worker\'s apps take them by name, before and after a restart', async t => {
  const path = join(folderOf(t), 'back.sock')
  const first = runNode(t, fixture, {
    OPTIONS: JSON.stringify({ program: doors, workers: 1 }),
    LISTEN: JSON.stringify([{ socketName: 'front', port: 0 }, { socketName: 'back', path, mode: 0o660 }]),
  })
  const [, port] = await first.match(/serve on http:\/\/127\.0\.0\.1:(\d+)/) as unknown as [string, string]
  await first.match(/Bus STARTED/)
  t.equal(await get({ port }), 'front')
  t.equal(await get({ socketPath: path }), 'back')
  t.equal(lstatSync(path).mode & 0o777, 0o660)

  first.kill('SIGUSR2')
  const [, successor] = await first.match(/Successor (\d+) serves/) as unknown as [string, string]
  await first.match(new RegExp(`supervisor exit ${first.pid}`))
  t.equal(await get({ port }), 'front')
  t.equal(await get({ socketPath: path }), 'back')
  process.kill(Number(successor), 'SIGTERM')
  await first.match(new RegExp(`supervisor exit ${successor}`))
  await first.ended
  t.equal(existsSync(path), false)
})

test('an app that names no socket takes all of them', async t => {
  const path = join(folderOf(t), 'app.sock')
  const child = runNode(t, fixture, { LISTEN: JSON.stringify([{ port: 0 }, { path }]), OPTIONS: '{"workers":1}' })
  const [, port] = await child.match(/serve on http:\/\/127\.0\.0\.1:(\d+)/) as unknown as [string, string]
  const pids = await Promise.all([get({ port }), get({ socketPath: path })])
  t.equal(pids[0], pids[1])
})

test('no listener, or one of them wrong, is refused', async t => {
  for (const [LISTEN, why] of [
    ['[]', /"listen" is an empty array; name one address at least/],
    ['[{"port":0},{"prot":1}]', /prot.*port/],
    ['[{"port":0},{"port":1,"path":"/x"}]', /"path" and "port" or "host" contradict each other/],
  ] as const) {
    const child = runNode(t, fixture, { LISTEN })
    t.not((await child.ended).code, 0)
    t.match(child.output, why)
  }
})

test('a drain of the workers may take longer than that of the supervisor, which waits for them', async t => {
  const child = runNode(t, fixture, { DEADLINE: '200', OPTIONS: '{"workers":1}' })
  const [, port] = await child.match(/serve on http:\/\/127\.0\.0\.1:(\d+)/) as unknown as [string, string]
  await child.match(/Bus STARTED/)
  const slow = get({ port, path: '/slow?ms=1800' })
  await child.match(/slow begun/)
  child.kill('SIGTERM')
  t.match(await slow, '"generation"')
  t.same(await child.ended, { code: 0, signal: null })
})

test('as root: unix sockets belong to the user of the workers, whom nobody gives anything else', { skip: needsRoot() }, async t => {
  const path = join(folderOf(t), 'app.sock')
  const child = runNode(t, fixture, { LISTEN: JSON.stringify([{ port: 0 }, { path }]), OPTIONS: '{"workers":1,"user":"nobody"}' })
  await child.match(/Bus STARTED/)
  t.match(lstatSync(path), { uid: 65_534, gid: 65_534 })
  t.equal(lstatSync(path).mode & 0o777, 0o600)
  child.kill('SIGUSR2')
  const [, successor] = await child.match(/Successor (\d+) serves/) as unknown as [string, string]
  t.match(lstatSync(path), { uid: 65_534, gid: 65_534 })
  process.kill(Number(successor), 'SIGTERM')
  await child.ended
})
