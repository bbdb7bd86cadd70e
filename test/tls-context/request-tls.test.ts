import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import https from 'node:https'
import { type AddressInfo } from 'node:net'
import tls, { type ConnectionOptions } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import tlsContext, * as named from '@fastkeep/tls-context'
import { createServerContext, type TlsConnection } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { lab } from './lab.ts'

interface Served {
  readonly port: number
  readonly ca: string
  /** What each request saw, in order. */
  readonly seen: Array<TlsConnection | null>
}

async function serve (t: Test, kind: 'http' | 'https' | 'http2', handler?: (request: FastifyRequest) => Promise<unknown>): Promise<Served> {
  const { cert, key, caPem } = await lab(t)
  const { options } = createServerContext({ cert, key })
  const app = (kind === 'http' ? Fastify() : kind === 'https' ? Fastify({ https: options }) : Fastify({ https: { ...options, allowHTTP1: true }, http2: true })) as unknown as FastifyInstance
  await app.register(tlsContext)
  const seen: Served['seen'] = []
  app.get('/', handler ?? (async request => {
    seen.push(request.tls)
    return request.tls
  }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { port: (app.server.address() as AddressInfo).port, ca: caPem, seen }
}

async function get (port: number, options: https.RequestOptions & ConnectionOptions): Promise<TlsConnection> {
  const [response] = await once(https.get({ host: '127.0.0.1', servername: 'localhost', port, agent: false, ...options }), 'response')
  return JSON.parse(Buffer.concat(await response.toArray()).toString())
}

async function connect (t: Test, port: number, ca: string): Promise<ClientHttp2Session> {
  const session = http2.connect(`https://localhost:${port}`, { ca, host: '127.0.0.1' })
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return session
}

test('over HTTPS it tells what the handshake agreed on', async t => {
  const { port, ca } = await serve(t, 'https')
  t.match(await get(port, { ca, ciphers: 'TLS_AES_256_GCM_SHA384', ALPNProtocols: ['http/1.1'] }), {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    servername: 'localhost',
    alpn: 'http/1.1',
    resumed: false,
  })
  t.match(await get(port, { ca, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', servername: '' }), {
    protocol: 'TLSv1.2',
    cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    servername: null,
  })
})

test('the group is a name of the profile, or null where Node does not tell', async t => {
  const { port, ca } = await serve(t, 'https')
  const { group } = await get(port, { ca, ecdhCurve: 'X25519' })
  t.ok(group === null || group.toUpperCase() === 'X25519', `it is ${group}`)
})

test('a resumed session says so', async t => {
  const { port, ca } = await serve(t, 'https')
  const first = https.get({ host: '127.0.0.1', servername: 'localhost', port, ca, agent: false, headers: { connection: 'close' } })
  const [socket] = await once(first, 'socket')
  const ticket = once(socket, 'session')
  const [response] = await once(first, 'response')
  t.match(JSON.parse(Buffer.concat(await response.toArray()).toString()), { resumed: false })
  const [session] = await ticket
  t.match(await get(port, { ca, session }), { resumed: true })
})

test('over HTTP/2 it tells the same, whatever the stream', async t => {
  const { port, ca, seen } = await serve(t, 'http2')
  const session = await connect(t, port, ca)
  await Promise.all([session.request({ ':path': '/' }).toArray(), session.request({ ':path': '/' }).toArray()])
  t.match(seen[0], { protocol: 'TLSv1.3', alpn: 'h2', servername: 'localhost', resumed: false })
  t.equal(seen.length, 2)
  t.equal(seen[0], seen[1], 'one object for the connection')
})

test('HTTP/1.1 on an HTTP/2 server is told apart', async t => {
  const { port, ca } = await serve(t, 'http2')
  t.match(await get(port, { ca, ALPNProtocols: ['http/1.1'] }), { protocol: 'TLSv1.3', alpn: 'http/1.1' })
})

test('it is made once for a kept-alive connection, and anew for another', async t => {
  const { port, ca, seen } = await serve(t, 'https')
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  await get(port, { ca, agent })
  await get(port, { ca, agent })
  await get(port, { ca })
  t.equal(seen[0], seen[1])
  t.not(seen[1], seen[2])
  t.throws(() => Object.assign(seen[0] as object, { protocol: 'TLSv9' }), TypeError, 'no request can change it for the others')
})

test('it is null over plain HTTP and for an injected request', async t => {
  const { port, seen } = await serve(t, 'http')
  const [response] = await once(http.get({ host: '127.0.0.1', port, agent: false }), 'response')
  response.resume()
  await once(response, 'end')

  const app = Fastify()
  await app.register(tlsContext)
  app.get('/', async request => ({ tls: request.tls }))
  t.same((await app.inject('/')).json(), { tls: null })
  t.same(seen, [null])
})

for (const kind of ['https', 'http2'] as const) {
  test(`over ${kind}, once the connection is gone, it stays what it was, and is null when nobody had asked before`, async t => {
    const answers: Array<TlsConnection | null> = []
    let asksBefore = true
    let finished = () => {}
    const { port, ca } = await serve(t, kind, async request => {
      if (asksBefore) answers.push(request.tls)
      const closed = once(request.raw.socket, 'close')
      client.destroy()
      await closed
      answers.push(request.tls)
      finished()
    })
    let client: { destroy: () => void } = { destroy () {} }
    for (asksBefore of [true, false]) {
      const done = new Promise<void>(resolve => { finished = resolve })
      if (kind === 'http2') {
        const session = await connect(t, port, ca)
        session.request({ ':path': '/' }).on('error', () => {})
        client = session
      } else {
        const socket = tls.connect({ host: '127.0.0.1', port, ca }, () => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
        client = socket
      }
      await done
    }
    const [before, after, neverAsked] = answers
    t.match(before, { protocol: 'TLSv1.3' })
    t.equal(after, before)
    t.equal(neverAsked, null)
  })
}

test('the plugin takes no options', async t => {
  const app = Fastify()
  await t.rejects(async () => await app.register(tlsContext, { trustProxy: true } as object), { code: 'FST_KEEP_TLS_CONTEXT_OPTION_UNKNOWN', exitCode: 78 })
})

test('require() gives the plugin, with the named exports on it', async t => {
  // In a process of its own: tsx, which runs this test, has a require() that is not Node's.
  const script = 'const plugin = require("@fastkeep/tls-context"); console.log(JSON.stringify([typeof plugin, ...Object.keys(plugin)]))'
  const output = execFileSync(process.execPath, ['--input-type=commonjs', '-e', script], { cwd: import.meta.dirname, env: { ...process.env, NODE_OPTIONS: '' }, encoding: 'utf8' })
  const [type, ...keys] = JSON.parse(output) as string[]
  t.equal(type, 'function')
  const names = Object.keys(named).filter(name => name !== 'module.exports')
  t.ok(names.length > 1)
  for (const name of names) t.ok(keys.includes(name), name)
})
