import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { requestControl, type ControlProgress, type EngineStatus } from '@fastkeep/engine'
import { runNode } from '../child.js'
import { needsRoot } from '../programs.js'
import { controlledService } from './controlled-service.js'

const controlled = new URL('fixtures/controlled.js', import.meta.url)

function status (socket: string): Promise<EngineStatus> {
  return requestControl(socket, 'status') as Promise<EngineStatus>
}

test('a service with a PID file has a control socket beside it, for its user only, that tells its status', async t => {
  const { child, socket, pidFile, url, directory } = await controlledService(t)
  t.equal(lstatSync(socket).mode & 0o777, 0o600)
  for (let count = 0; count < 3; count++) await (await fetch(url)).text()
  const told = await status(socket)
  t.match(told, { state: 'STARTED', pid: child.pid, node: process.version, urls: [url], requests: 3, pidFile, controlSocket: socket, queue: { waiting: 3 } })
  t.match(told.version, /^\d+\.\d+\.\d+/)
  t.ok(told.memory > 10_000_000)
  t.ok(told.connections >= 1)
  t.same(told.broken, { failed: 'not known' }, 'a part that fails says so and hides no other one')
  t.notOk('workers' in told)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.same(readdirSync(directory), [], 'gone with the PID file')
})

test('the event-loop delay is what it was while the status was asked for', async t => {
  const { socket, url } = await controlledService(t)
  t.ok((await status(socket)).eventLoopDelay < 200)
  const asked = status(socket)
  const blocked = fetch(`${url}/blocked`)
  t.ok((await asked).eventLoopDelay > 50)
  await blocked
})

test('controlSocket names another path, and none means none', async t => {
  const elsewhere = await controlledService(t, { FASTKEEP_CONTROL_SOCKET: `/tmp/control-${process.pid}.sock` })
  t.equal((await status(`/tmp/control-${process.pid}.sock`)).pid, elsewhere.child.pid)
  t.notOk(existsSync(elsewhere.socket))
  const none = await controlledService(t, { FASTKEEP_CONTROL_SOCKET: 'none' })
  t.same(readdirSync(none.directory), ['app.pid'])
  elsewhere.child.kill('SIGTERM')
  await elsewhere.child.ended
  t.notOk(existsSync(`/tmp/control-${process.pid}.sock`))
})

test('stop drains, tells how it goes, and answers when all is done; the client has the answer when the process has ended', async t => {
  const { child, socket, url } = await controlledService(t)
  const slow = fetch(`${url}/slow`)
  await child.match(/slow begun/)
  const progress: ControlProgress[] = []
  t.same(await requestControl(socket, 'stop', { onProgress: line => progress.push(line) }), {})
  t.notOk(existsSync(`/proc/${child.pid}/exe`), 'it has ended')
  t.equal(await (await slow).text(), 'slow')
  t.same(await child.ended, { code: 0, signal: null })
  const draining = progress.find(({ left }) => left !== undefined)
  t.match(draining, { state: 'STOPPING', connections: 1, total: 1 })
  t.ok((draining?.left as number) > 1000 && (draining?.left as number) < 5000)
})

test('stop tells what failed, in the exit as well, with the exit code that the process ends with', async t => {
  for (const FAILS of ['stop', 'exit']) {
    const { child, socket } = await controlledService(t, { FAILS })
    await t.rejects(requestControl(socket, 'stop'), { code: 'FST_KEEP_ENGINE_CHANNEL_FAILURES', exitCode: 70, message: /queue: the queue is broken/ })
    t.same(await child.ended, { code: 70, signal: null })
  }
})

test('two that stop at the same time get the same answer', async t => {
  const { child, socket } = await controlledService(t)
  t.same(await Promise.all([requestControl(socket, 'stop'), requestControl(socket, 'stop')]), [{}, {}])
  t.same(await child.ended, { code: 0, signal: null })
})

test('graceful answers when it is done, and tells what failed while the service goes on', async t => {
  const { child, socket } = await controlledService(t)
  t.same(await requestControl(socket, 'graceful'), {})
  t.match(child.output, 'Bus graceful')
  const failing = await controlledService(t, { FAILS: 'graceful' })
  await t.rejects(requestControl(failing.socket, 'graceful'), { code: 'FST_KEEP_ENGINE_CHANNEL_FAILURES', exitCode: 70, message: /no new keys/ })
  t.equal((await status(failing.socket)).state, 'STARTED')
})

test('one process has no workers to scale', async t => {
  const { socket } = await controlledService(t)
  await t.rejects(requestControl(socket, { command: 'scale', workers: 2 }), { code: 'FST_KEEP_ENGINE_CONTROL_NOT_SUPERVISED', exitCode: 64 })
})

test('a reload hands the socket over: no request to it is refused, and the successor answers from then on', async t => {
  const { child, socket } = await controlledService(t)
  const before = lstatSync(socket).ino
  const pids = new Set<number>()
  const progress = { isDone: false }
  const asking = (async () => {
    while (!progress.isDone) pids.add((await status(socket)).pid)
  })()
  t.same(await requestControl(socket, 'reload'), {})
  const successor = (await status(socket)).pid
  progress.isDone = true
  await asking
  t.not(successor, child.pid)
  t.same([...pids].filter(pid => pid !== child.pid && pid !== successor), [])
  t.equal(lstatSync(socket).ino, before, 'the very same socket')
  await child.exited
  t.equal((await status(socket)).pid, successor, 'the end of the predecessor leaves it alone')
  t.same(await requestControl(socket, 'restart'), {})
  const third = (await status(socket)).pid
  t.not(third, successor)
  t.same(await requestControl(socket, 'stop'), {})
  t.notOk(existsSync(socket), 'the last one takes it away')
})

test('a successor that is configured to another socket leaves nobody waiting on the old one', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'control-config-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const config = join(directory, 'fastkeep.config.json')
  const [first, second] = [join(directory, '1.sock'), join(directory, '2.sock')]
  writeFileSync(config, JSON.stringify({ controlSocket: first }))
  const { child } = await controlledService(t, { FASTKEEP_CONFIG: config })
  writeFileSync(config, JSON.stringify({ controlSocket: second }))
  t.same(await requestControl(first, 'reload'), {})
  t.not((await status(second)).pid, child.pid)
  await child.exited
  await t.rejects(status(first), { code: 'FST_KEEP_ENGINE_CONTROL_UNAVAILABLE' })
})

test('a reload that fails says why, with the present process still answering', async t => {
  const marker = join(tmpdir(), `control-broken-${process.pid}`)
  t.teardown(() => rmSync(marker, { force: true }))
  const { child, socket } = await controlledService(t, { BROKEN: marker })
  writeFileSync(marker, '')
  await t.rejects(requestControl(socket, 'reload'), { code: 'FST_KEEP_ENGINE_RESTART_FAILED', exitCode: 70, message: /before it was ready/ })
  t.equal((await status(socket)).pid, child.pid)
})

test('a socket that nobody answers on is replaced; one that is answered, and a file, are left alone with 73', async t => {
  const { child, socket, directory } = await controlledService(t)
  const second = runNode(t, controlled, { FASTKEEP_CONTROL_SOCKET: socket })
  t.equal((await second.ended).code, 73)
  t.match(second.output, 'another process answers there')
  t.equal((await status(socket)).pid, child.pid)
  child.kill('SIGKILL')
  await child.ended
  t.ok(existsSync(socket), 'stale')
  const third = runNode(t, controlled, { FASTKEEP_CONTROL_SOCKET: socket })
  await third.match(/serving/)
  t.equal((await status(socket)).pid, third.pid)

  const file = join(directory, 'file')
  writeFileSync(file, 'precious')
  const fourth = runNode(t, controlled, { FASTKEEP_CONTROL_SOCKET: file })
  t.equal((await fourth.ended).code, 73)
  t.match(fourth.output, 'something that is not a socket')
  t.equal(readFileSync(file, 'utf8'), 'precious')

  const long = runNode(t, controlled, { FASTKEEP_CONTROL_SOCKET: join(directory, 'x'.repeat(100)) })
  t.equal((await long.ended).code, 73)
  t.match(long.output, /may have \d+ bytes/)
})

test('after privileges were dropped it still is root\'s, answers, and is handed over', { skip: needsRoot() }, async t => {
  const { child, socket, url } = await controlledService(t, { FASTKEEP_USER: '65534' })
  t.equal((await (await fetch(url)).json() as { uid: number }).uid, 65_534)
  t.equal(lstatSync(socket).uid, 0)
  t.same(await requestControl(socket, 'reload'), {})
  const successor = (await status(socket)).pid
  t.not(successor, child.pid)
  t.match(readFileSync(`/proc/${successor}/status`, 'utf8'), /^Uid:\t65534\t65534/m)
  t.same(await requestControl(socket, 'stop'), {})
})

test('nobody there is 69, no permission is 77', async t => {
  const { child, socket } = await controlledService(t)
  await t.rejects(requestControl('/nowhere/x.sock', 'status'), { code: 'FST_KEEP_ENGINE_CONTROL_UNAVAILABLE', exitCode: 69 })
  child.kill('SIGKILL')
  await child.ended
  await t.rejects(requestControl(socket, 'status'), { code: 'FST_KEEP_ENGINE_CONTROL_UNAVAILABLE', exitCode: 69, message: /has ended/ })
})

test('a service that is blocked lets its client go after the timeout', async t => {
  const { child, socket } = await controlledService(t)
  process.kill(child.pid, 'SIGSTOP')
  await t.rejects(requestControl(socket, 'status', { timeout: 200 }), { code: 'FST_KEEP_ENGINE_CONTROL_TIMEOUT', exitCode: 75 })
  process.kill(child.pid, 'SIGCONT')
  t.equal((await status(socket)).state, 'STARTED')
})

test('what answers with something else than the protocol is told from a service', async t => {
  const path = `/tmp/control-foreign-${process.pid}.sock`
  for (const answer of ['HTTP/1.1 400 Bad Request\r\n\r\n', 'null\n', '', `${'x'.repeat(9_000_000)}`]) {
    const server = net.createServer(socket => { socket.on('error', () => {}).resume().end(answer) }).listen(path)
    await once(server, 'listening')
    await t.rejects(requestControl(path, 'status'), { code: 'FST_KEEP_ENGINE_CONTROL_BROKEN', exitCode: 70 })
    server.close()
    await once(server, 'close')
  }
})
