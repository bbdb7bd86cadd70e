import { EventEmitter, once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import { serverOptions } from '@fastkeep/engine'
import secureHeaders, { hardenedFactoryOptions } from '@fastkeep/secure-headers'
import { createServerContext } from '@fastkeep/tls-context'
import { certificate } from './certificate.js'
import { API, DOCUMENT, only } from './policies.js'
import { ask, listen, page } from './servers.js'

const { key, cert } = certificate()
const HSTS = 'max-age=63072000; includeSubDomains'

interface RawAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

/** Sends bytes that no HTTP client would, and gives the one answer. */
async function send (port: number, bytes: string, isTls = false): Promise<RawAnswer> {
  const socket = isTls ? tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'example.test' }) : net.connect(port, '127.0.0.1')
  await once(socket, isTls ? 'secureConnect' : 'connect')
  socket.write(bytes)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  const pairs = lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)] as const)
  return { status: Number(statusLine.split(' ')[1]), headers: Object.fromEntries(pairs), body }
}

const REQUESTS: ReadonlyArray<readonly [name: string, status: number, bytes: string]> = [
  ['a malformed URL', 400, 'GET /%zz HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n'],
  ['a too long parameter', 414, `GET /item/${'x'.repeat(101)} HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n`],
  ['malformed HTTP', 400, 'GET / HTTP/1.1\r\nHost: example.test\r\nno colon\r\n\r\n'],
  ['too large headers', 431, `GET / HTTP/1.1\r\nHost: example.test\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['no Host', 400, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['an unknown expectation', 417, 'GET / HTTP/1.1\r\nHost: example.test\r\nExpect: x\r\nConnection: close\r\n\r\n'],
]

async function withRoutes (app: FastifyInstance): Promise<FastifyInstance> {
  await app.register(secureHeaders)
  app.get('/', page)
  app.get('/item/:id', page)
  app.get('/off', { secureHeaders: false }, page)
  app.get('/set', async (request, reply) => await page(request, reply.header('X-Frame-Options', 'SAMEORIGIN')))
  return app
}

for (const isTls of [false, true]) {
  test(`over ${isTls ? 'HTTPS' : 'HTTP'} the answers made outside the router have the headers of data`, async t => {
    const app = await withRoutes((isTls
      ? Fastify(hardenedFactoryOptions({ https: { key, cert } }))
      : Fastify(hardenedFactoryOptions())) as unknown as FastifyInstance)
    const port = await listen(t, app)
    for (const [name, status, bytes] of REQUESTS) {
      const answer = await send(port, bytes, isTls)
      t.equal(answer.status, status, name)
      // What Node itself answers has no content type, so it has all headers.
      t.match(answer.headers, only('content-type' in answer.headers ? API : DOCUMENT), name)
      // Where there is no Host, the name is that of the TLS handshake.
      t.equal(answer.headers['strict-transport-security'], isTls ? HSTS : undefined, name)
    }
  })
}

test('without them only the answers of the router have headers', async t => {
  const port = await listen(t, await withRoutes(Fastify() as unknown as FastifyInstance))
  for (const [name, status, bytes] of REQUESTS) {
    const answer = await send(port, bytes)
    t.equal(answer.status, status, name)
    t.equal(answer.headers['content-security-policy'], undefined, name)
  }
})

test('the answers of the router have their headers once, and what a route or a handler decides holds', async t => {
  const port = await listen(t, await withRoutes(Fastify(hardenedFactoryOptions()) as unknown as FastifyInstance))
  const whole = await ask(port)
  t.match(whole.headers, only(DOCUMENT))
  t.equal(new Set(whole.names).size, whole.names.length)
  t.match((await ask(port, '/off')).headers, only({}))
  t.equal((await ask(port, '/set')).headers['x-frame-options'], 'SAMEORIGIN')
  t.equal((await ask(port, '/none')).status, 404)
})

test('a 503 while the service closes has them', async t => {
  const app = await withRoutes(Fastify({ ...hardenedFactoryOptions(), forceCloseConnections: false }) as unknown as FastifyInstance)
  const events = new EventEmitter()
  app.get('/slow', async (_, reply) => {
    events.emit('arrived')
    await once(events, 'release')
    return await reply.send('x')
  })
  // Fastify answers with 503 from here on.
  app.addHook('preClose', async () => { events.emit('closing') })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => { await app.close() })
  const { port } = app.server.address() as net.AddressInfo
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const arrived = once(events, 'arrived')
  socket.write('GET /slow HTTP/1.1\r\nHost: example.test\r\n\r\n')
  await arrived
  const closing = once(events, 'closing')
  const closed = app.close()
  await closing
  const second = once(app.server, 'request')
  socket.write('GET / HTTP/1.1\r\nHost: example.test\r\n\r\n')
  const received = text(socket)
  await second
  events.emit('release')
  const answers = (await received).split(/(?=HTTP\/1\.1 )/)
  await closed
  t.match(answers[1], /^HTTP\/1\.1 503 /)
  for (const [name, value] of Object.entries(API)) t.match(answers[1], `${name}: ${value}\r\n`)
})

test('a request that does not end in time is a 408 with them, and such faults are in the log as without', async t => {
  const lines: string[] = []
  const logger = { level: 'trace', stream: { write: (line: string) => { lines.push(line) } } }
  const app = Fastify(hardenedFactoryOptions({ logger, http: { connectionsCheckingInterval: 20, headersTimeout: 40, requestTimeout: 40 } }))
  const answer = await send(await listen(t, app), 'GET / HTTP/1.1\r\nHost: ')
  t.equal(answer.status, 408)
  t.match(answer.headers, only(API))
  t.match(lines.join(''), /"level":10.*"code":"ERR_HTTP_REQUEST_TIMEOUT".*"msg":"client error"/)
})

test('too large chunk extensions are a 413 with them', async t => {
  const app = Fastify(hardenedFactoryOptions())
  app.post('/', async () => 'x')
  const head = 'POST / HTTP/1.1\r\nHost: example.test\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'
  const answer = await send(await listen(t, app), `${head}1;${'x'.repeat(20_000)}\r\n`)
  t.equal(answer.status, 413)
  t.match(answer.headers, only(API))
})

test('a malformed request behind one that is being answered does not spoil that answer', async t => {
  const app = await withRoutes(Fastify(hardenedFactoryOptions()) as unknown as FastifyInstance)
  app.get('/endless', (_, reply) => { reply.hijack().raw.writeHead(200, { 'content-length': '1000' }).write('begun') })
  const port = await listen(t, app)
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  socket.write('GET /endless HTTP/1.1\r\nHost: example.test\r\n\r\n')
  let received = ''
  socket.setEncoding('utf8').on('data', chunk => { received += chunk })
  await once(socket, 'data')
  socket.write('malformed\r\n\r\n')
  await once(socket, 'close')
  t.match(received, /begun$/)
})

test('the policy can be given, and wrong options are refused', async t => {
  const app = Fastify(hardenedFactoryOptions({ logger: false }, { contentSecurityPolicy: { directives: { frameAncestors: ["'self'"] } } }))
  const answer = await send(await listen(t, app), REQUESTS[0]?.[2] ?? '')
  t.match(answer.headers['content-security-policy'], /frame-ancestors 'self'$/)
  t.throws(() => hardenedFactoryOptions({}, { xFrameOption: 'DENY' } as never), { code: 'FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN' })
  t.throws(() => hardenedFactoryOptions({ serverFactory: () => {} }), { code: 'FST_KEEP_SECURE_HEADERS_FACTORY_OPTION', message: /serverFactory/, exitCode: 78 })
  t.throws(() => hardenedFactoryOptions({ clientErrorHandler: () => {} }), { code: 'FST_KEEP_SECURE_HEADERS_FACTORY_OPTION', message: /clientErrorHandler/ })
  t.same(Object.keys(hardenedFactoryOptions({}, { enabled: false })), [])
})

const FACTORIES = {
  HTTP: () => Fastify(hardenedFactoryOptions(serverOptions())),
  HTTPS: () => Fastify(hardenedFactoryOptions(serverOptions(createServerContext({ key, cert }).options))),
}

for (const [name, factory] of Object.entries(FACTORIES)) {
  test(`over ${name} the limits of the engine, the TLS context and the headers hold together`, async t => {
    const app = await withRoutes(factory() as unknown as FastifyInstance)
    const port = await listen(t, app)
    t.equal((app.server as { headersTimeout?: number }).headersTimeout, 20_000)
    const answer = await send(port, REQUESTS[0]?.[2] ?? '', name === 'HTTPS')
    t.match(answer.headers, API)
    if (name === 'HTTPS') {
      const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'example.test', maxVersion: 'TLSv1.1' })
      const [error] = await once(socket, 'error') as [Error]
      t.match(error.message, /protocol|version|alert|ssl/i)
    }
  })
}

test('over HTTP/2, and over HTTP/1 on the same port, the answers made outside the router have the headers too', async t => {
  const tlsOptions = { ...createServerContext({ key, cert }).options, allowHTTP1: true }
  const app = await withRoutes(Fastify({ ...hardenedFactoryOptions({ ...serverOptions(tlsOptions), http2: true as const }) }) as unknown as FastifyInstance)
  const port = await listen(t, app)
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca: cert, servername: 'example.test' })
  t.teardown(() => session.close())
  for (const [path, status] of [['/%zz', 400], [`/item/${'x'.repeat(101)}`, 414]] as const) {
    const stream = session.request({ ':path': path, ':authority': 'example.test' })
    const [headers] = await once(stream.resume(), 'response') as [http2.IncomingHttpHeaders]
    t.equal(headers[':status'], status)
    t.match(headers, { ...API, 'strict-transport-security': HSTS })
  }
  const overHttp1 = await send(port, REQUESTS[0]?.[2] ?? '', true)
  t.match(overHttp1.headers, { ...API, 'strict-transport-security': HSTS })
})
