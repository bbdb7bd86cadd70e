import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { test } from 'tap'
import engine, { type Engine } from '@fastkeep/engine'
import { createDevelopmentCertificate } from '@fastkeep/tls-context'
import { appWith, DRAIN, get, portOf } from './app-with.js'

test('close drains: idle connections stay usable for the idle window, no answer is a 503, each says close', async t => {
  const app = await appWith(t, { drain: { idleWindow: 1_000, deadline: 5_000 } })
  const url = await app.listen({ port: 0 })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await get(url, agent)).connection, 'keep-alive')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  const answer = await get(url, agent)
  t.same(answer, { status: 200, connection: 'close', body: 'hello' })
  await closed
  t.equal(app.engine.state, 'EXITED')
  await t.rejects(fetch(url))
})

test('an idle connection is closed after the idle window', async t => {
  const app = await appWith(t)
  const url = await app.listen({ port: 0 })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const socketClosed = new Promise(resolve => {
    // The agent lets the process end while it is idle.
    agent.once('free', socket => socket.ref().once('close', resolve))
  })
  await get(url, agent)
  await app.close()
  await socketClosed
})

test('a request that came while the loop was too busy to see it is answered, though the idle window is over', async t => {
  const app = await appWith(t, { drain: { idleWindow: 300, deadline: 5_000 } })
  await app.listen({ port: 0 })
  const [client, fresh] = [0, 1].map(() => net.connect(portOf(app), '127.0.0.1').setEncoding('utf8')) as [net.Socket, net.Socket]
  client.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n')
  await once(client, 'data')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  await delay(150)
  // After which the timers come, and only then what has arrived.
  await immediate()
  const busyUntil = Date.now() + 400
  while (Date.now() < busyUntil);
  // By the system alone: what the loop of this process would send comes too late.
  for (const socket of [client, fresh]) writeSync((socket as net.Socket & { _handle: { fd: number } })._handle.fd, 'GET / HTTP/1.1\r\nhost: test\r\n\r\n')
  const answers = await Promise.all([once(client, 'data'), once(fresh, 'data')])
  for (const [answer] of answers) t.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*connection: close/i)
  await closed
})

test('a TLS handshake that never ends does not hold the drain, and a connection that came through it stays usable', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-drain-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  await createDevelopmentCertificate({ directory: folder })
  const [key, cert] = ['key.pem', 'cert.pem'].map(file => readFileSync(join(folder, file), 'utf8'))
  const app = Fastify({ https: { key, cert } })
  await app.register(engine, { signals: false, drain: { idleWindow: 500, deadline: 60_000 } })
  app.get('/', async () => 'hello')
  const url = new URL(await app.listen({ port: 0 }))
  const stuck = net.connect(Number(url.port), url.hostname)
  await once(stuck, 'connect')
  stuck.on('error', () => {}).write(Buffer.from([0x16]))
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false })
  t.teardown(() => agent.destroy())
  const ask = async (): Promise<number | undefined> => {
    const [response] = await once(https.get(url, { agent }), 'response') as [http.IncomingMessage]
    await once(response.resume(), 'end')
    return response.statusCode
  }
  t.equal(await ask(), 200)
  const closed = app.close()
  t.equal(await ask(), 200)
  await closed
  if (!stuck.closed) await once(stuck, 'close')
})

test('of pipelined requests that come while draining all are answered, and only the last says close', async t => {
  const app = await appWith(t, { drain: { idleWindow: 1_000, deadline: 5_000 } })
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += String(chunk) })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  await once(socket, 'close')
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3)
  t.equal(text.match(/connection: close/gi)?.length, 1)
  await closed
})

test('of pipelined requests that are under way when the drain begins all are answered', async t => {
  const app = await appWith(t)
  let release = (): void => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  app.get('/gate', async () => { await gate; return 'gate' })
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += String(chunk) })
  socket.write('GET /gate HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  await once(app.server, 'request')
  const closed = app.close()
  await once(app.engine.draining, 'abort')
  release()
  await once(socket, 'close')
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3)
  await closed
})

test('HTTP/2 sessions get GOAWAY, and what is under way is finished', async t => {
  const app = Fastify({ http2: true })
  await app.register(engine, { signals: false, drain: DRAIN })
  let release = (): void => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  app.get('/gate', async () => { await gate; return 'gate' })
  const url = await app.listen({ port: 0 })
  const session = http2.connect(url)
  const stream = session.request({ ':path': '/gate' })
  let body = ''
  stream.setEncoding('utf8').on('data', chunk => { body += chunk as string })
  await once(app.server, 'stream')
  const goaway = once(session, 'goaway')
  const ended = once(stream, 'end')
  const closed = app.close()
  await goaway
  release()
  await ended
  t.equal(body, 'gate')
  await closed
})

test('a drain tells every second how many connections are left, and how long they have', async t => {
  const app = await appWith(t, { drain: { idleWindow: 50, deadline: 10_000 } })
  let answer = (): void => {}
  const held = new Promise<void>(resolve => { answer = resolve })
  app.get('/held', async () => { await held; return 'held' })
  const url = await app.listen({ port: 0 })
  const request = fetch(`${url}/held`)
  await once(app.server, 'request')
  const told: Array<{ bus: Engine, connections: number, left: number }> = []
  const listen = (message: unknown): void => {
    told.push(message as typeof told[number])
    if (told.length === 2) answer()
  }
  subscribe('fastkeep:engine:drain', listen)
  t.teardown(() => unsubscribe('fastkeep:engine:drain', listen))
  const lines: string[] = []
  app.engine.subscribe('log', ({ message, code }) => { if (code === 'FST_KEEP_ENGINE_DRAINING') lines.push(message) })
  await app.engine.exit()
  t.equal(await (await request).text(), 'held')
  t.equal(told.length, 2, 'and nothing more after its end')
  t.ok(told.every(({ bus, connections }) => bus === app.engine && connections === 1))
  const [first, second] = told.map(({ left }) => left) as [number, number]
  t.ok(first < 10_000 && second < first && second >= 0, `${first}, ${second} ms left`)
  t.ok(lines.every(line => /^Draining: 1 connection left, \d+ s$/.test(line)) && lines.length === 2, lines.join())
})

test('functions given to onDrain run beside the drain and see its deadline', async t => {
  const app = await appWith(t, { drain: { idleWindow: 10, deadline: 100 } })
  await app.listen({ port: 0 })
  const seen: string[] = []
  app.engine.server.onDrain(async deadline => {
    seen.push('drain')
    await once(deadline, 'abort')
    seen.push('deadline')
  })
  app.engine.server.onDrain(() => t.fail('it was taken away'))()
  app.engine.subscribe('stop', () => { seen.push('stop') })
  await app.close()
  t.same(seen, ['drain', 'deadline', 'stop'])
})

test('upgraded connections that nobody ends are ended at the deadline', async t => {
  const app = await appWith(t, { drain: { idleWindow: 10, deadline: 100 } })
  app.server.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'))
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  await once(socket, 'data')
  const ended = once(socket, 'close')
  await app.close()
  await ended
})

test('a large answer that a slow reader takes after the idle window arrives whole', async t => {
  const app = await appWith(t, { drain: { idleWindow: 20, deadline: 20_000 } })
  const size = 60_000_000
  app.get('/large', async () => Buffer.alloc(size))
  await app.listen({ port: 0 })
  const socket = net.connect(portOf(app), '127.0.0.1')
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable')
  const closed = app.close()
  await delay(300)
  let received = 0
  for await (const chunk of socket) received += (chunk as Buffer).length
  t.ok(received > size, `${received} of ${size} bytes and the head`)
  await closed
})

test('a second close, and a stop, join the drain that is under way', async t => {
  const app = await appWith(t, { drain: { idleWindow: 500, deadline: 5_000 } })
  const url = await app.listen({ port: 0 })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  await get(url, agent)
  const closed = [app.close(), app.engine.stop()]
  await once(app.engine.draining, 'abort')
  closed.push(app.close())
  t.match(await get(url, agent), { status: 200 })
  await Promise.all(closed)
})
