import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import engine, { type EnginePluginOptions } from '@fastkeep/engine'
import { Child, plainEnvironment } from '../child.js'

const service = fileURLToPath(new URL('fixtures/service.js', import.meta.url))
const DRAIN = { idleWindow: 50, deadline: 5_000 }

async function appOn (t: Test, options: EnginePluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(engine, { signals: false, drain: DRAIN, ...options })
  app.get('/', async () => 'hello')
  t.teardown(() => app.close().catch(() => {}))
  return app
}

function scratch (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-sockets-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function ask (socketPath: string): Promise<string> {
  const [response] = await once(http.get({ socketPath, path: '/', agent: false }), 'response') as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk)
  return body
}

/** Runs the service as systemd would: with these sockets from descriptor 3 on. */
function activated (t: Test, servers: readonly Server[], env: NodeJS.ProcessEnv, pid = '$$'): Child {
  const fds = servers.map(server => (server as unknown as { _handle: { fd: number } })._handle.fd)
  const child = new Child(t, 'sh', ['-c', `export LISTEN_PID=${pid}; exec "$0" "$@"`, process.execPath, service], {
    stdio: ['ignore', 'pipe', 'pipe', ...fds],
    env: { ...plainEnvironment(), LISTEN_FDS: String(fds.length), ...env },
  })
  // From here on only the child accepts.
  for (const server of servers) server.close()
  return child
}

async function listening (t: Test, ...where: [number, string] | [string]): Promise<Server> {
  const server = net.createServer()
  server.listen(...(where as [number, string]))
  t.teardown(() => server.close())
  await once(server, 'listening')
  return server
}

test('a unix socket is for this user only, answers, and is gone after the stop', async t => {
  const path = join(scratch(t), 'app.sock')
  const app = await appOn(t, { path })
  await app.engine.start()
  t.same(app.engine.server.urls, [`unix:${path}`])
  t.equal(lstatSync(path).mode & 0o777, 0o600)
  t.equal(await ask(path), 'hello')
  await app.close()
  t.equal(lstatSync(path, { throwIfNoEntry: false }), undefined)
})

test('the permissions of a unix socket can be set, by our option or by Fastify\'s', async t => {
  const folder = scratch(t)
  const app = await appOn(t, { path: join(folder, 'a.sock'), mode: 0o660 })
  await app.engine.start()
  t.equal(lstatSync(join(folder, 'a.sock')).mode & 0o777, 0o660)
  const other = await appOn(t, {})
  await other.listen({ path: join(folder, 'b.sock'), writableAll: true, readableAll: true })
  t.equal(lstatSync(join(folder, 'b.sock')).mode & 0o777, 0o666)
})

test('a stale unix socket is replaced, one that answers is left alone', async t => {
  const path = join(scratch(t), 'app.sock')
  const killed = new Child(t, process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`])
  await killed.match(/up/)
  const app = await appOn(t, { path })
  await t.rejects(app.engine.start(), { exitCode: 71, message: /cannot listen on unix:.*another process listens there already/ })
  killed.kill('SIGKILL')
  await killed.ended
  t.ok(lstatSync(path).isSocket(), 'it is stale')
  const next = await appOn(t, { path })
  await next.engine.start()
  t.equal(await ask(path), 'hello')
})

test('anything else at the path of a unix socket is refused untouched', async t => {
  const folder = scratch(t)
  const path = join(folder, 'app.sock')
  writeFileSync(path, 'precious')
  await t.rejects((await appOn(t, { path })).engine.start(), { exitCode: 71, message: /taken by something that is not a socket/ })
  t.ok(lstatSync(path).isFile())
  symlinkSync('elsewhere', join(folder, 'link.sock'))
  await t.rejects((await appOn(t, { path: join(folder, 'link.sock') })).engine.start(), { exitCode: 71, message: /not a socket/ })
  t.ok(lstatSync(join(folder, 'link.sock')).isSymbolicLink())
})

test('a start that fails leaves no unix socket behind', async t => {
  const path = join(scratch(t), 'app.sock')
  const app = await appOn(t, { path })
  app.engine.subscribe('start', () => { throw new Error('no') }, { priority: 78 })
  await t.rejects(app.engine.start())
  t.equal(lstatSync(path, { throwIfNoEntry: false }), undefined)
})

test('a socket that another process has put in place of ours is not removed', async t => {
  const path = join(scratch(t), 'app.sock')
  const app = await appOn(t, { path })
  await app.engine.start()
  rmSync(path)
  await listening(t, path)
  await app.close()
  t.ok(lstatSync(path).isSocket())
})

test('a path that the system would cut off is refused, and nothing is made', async t => {
  const folder = scratch(t)
  const path = join(folder, 'x'.repeat(100))
  const app = await appOn(t, { path })
  await t.rejects(app.engine.start(), { cause: { code: 'FST_KEEP_ENGINE_ADDRESS_REFUSED' }, message: /the path is longer than 97 bytes/ })
  t.same(readdirSync(folder), [])
})

test('path beside port or host is refused', async t => {
  await t.rejects(async () => { await Fastify().register(engine, { path: '/tmp/x.sock', port: 80 }) }, { code: 'FST_KEEP_ENGINE_CONFIG_CONTRADICTION' })
})

test('socket activation: the service answers on the socket that it was given, whatever port it asks for', async t => {
  const socket = await listening(t, 0, '127.0.0.1')
  const { port } = socket.address() as AddressInfo
  const child = activated(t, [socket], { PORT: '1' })
  await child.match(new RegExp(`serving http://127.0.0.1:${port}`))
  t.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'hello')
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
})

test('socket activation: a restart keeps the socket that was given', async t => {
  const socket = await listening(t, 0, '127.0.0.1')
  const { port } = socket.address() as AddressInfo
  const child = activated(t, [socket], {})
  await child.match(/serving/)
  child.kill('SIGHUP')
  await child.match(new RegExp(`serving http://127.0.0.1:${port}\\n[^]*serving http://127.0.0.1:${port}\\n`))
  await child.match(/exit\n/)
  t.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'hello')
  const [pid] = /\d+/.exec(execFileSync('sh', ['-c', `ss -ltnpH 'sport = :${port}' | grep -o 'pid=[0-9]*'`]).toString()) as unknown as [string]
  process.kill(Number(pid), 'SIGTERM')
  await child.ended
})

test('socket activation: several sockets, TCP and unix', async t => {
  const path = join(scratch(t), 'app.sock')
  const tcp = await listening(t, 0, '127.0.0.1')
  const { port } = tcp.address() as AddressInfo
  const unix = await listening(t, `${path}.systemd`)
  renameSync(`${path}.systemd`, path)
  const child = activated(t, [tcp, unix], {})
  await child.match(/serving/)
  t.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'hello')
  t.equal(await ask(path), 'hello')
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.ok(lstatSync(path).isSocket(), 'the path of a socket that was given is not ours to remove')
})

test('socket activation meant for another process is left alone', async t => {
  const socket = await listening(t, 0, '127.0.0.1')
  const { port } = socket.address() as AddressInfo
  const child = activated(t, [socket], {}, '1')
  const [, own] = await child.match(/serving http:\/\/127\.0\.0\.1:(\d+)/)
  t.not(Number(own), port)
})

test('malformed socket activation ends the start with code 78 and says what is wrong', async t => {
  for (const [env, message] of [
    [{ LISTEN_FDS: 'many' }, /LISTEN_FDS must be a number of descriptors, it is "many"/],
    [{ LISTEN_FDNAMES: 'http:admin' }, /LISTEN_FDS passes 1 descriptors, LISTEN_FDNAMES names 2/],
    // What comes after the one that was passed is Node's own, whose end would be that of the event loop.
    [{ LISTEN_FDS: '9' }, /LISTEN_FDS passes 9 descriptors, and \d+ is no socket/],
  ] as const) {
    const child = activated(t, [await listening(t, 0, '127.0.0.1')], env)
    t.same(await child.ended, { code: 78, signal: null }, String(message))
    t.match(child.output, message)
  }
})

test('a port that is taken is refused with the name and pid of who has it', { skip: process.platform !== 'linux' && 'only Linux tells' }, async t => {
  const socket = await listening(t, 0, '127.0.0.1')
  const { port } = socket.address() as AddressInfo
  const app = await appOn(t, { port })
  await t.rejects(app.engine.start(), { message: new RegExp(`\\(pid ${process.pid}\\) listens on port ${port} already`) })
})
