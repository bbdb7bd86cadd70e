import { once } from 'node:events'
import net from 'node:net'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureHeaders from '@fastkeep/secure-headers'
import { ask, listen } from './servers.js'

const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; manifest-src 'self'; worker-src 'self'; script-src-attr 'none'; object-src 'none'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const PERMISSIONS = 'accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), ' +
  'encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), microphone=(), ' +
  'midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), ' +
  'usb=(), xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), ' +
  'idle-detection=(), serial=(), unload=()'

/** The whole policy over plain HTTP. */
const DEFAULTS: Record<string, string> = {
  'content-security-policy': CSP,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'permissions-policy': PERMISSIONS,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

async function app (): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(secureHeaders)
  return app
}

test('a bare registration sends the whole default policy, each header once, and nothing of its own besides', async t => {
  const bare = Fastify()
  bare.get('/', async () => ({ ok: true }))
  const port = await listen(t, (await app()).get('/', async () => ({ ok: true })))
  const without = await ask(await listen(t, bare))
  const answer = await ask(port)
  t.match(answer.headers, DEFAULTS)
  t.same([...answer.names].sort(), [...without.names, ...Object.keys(DEFAULTS)].sort())
})

test('every kind of answer has the policy', async t => {
  const service = await app()
  service.get('/json', async () => ({}))
  service.post('/created', async (_, reply) => reply.code(201).send({}))
  service.get('/empty', async (_, reply) => reply.code(204).send())
  service.get('/redirect', async (_, reply) => reply.redirect('/json'))
  service.get('/refused', async (_, reply) => reply.code(403).send({}))
  service.get('/thrown', async () => { throw new Error('on purpose') })
  service.get('/stream', async (_, reply) => reply.type('text/html').send(Readable.from(['<p>', 'x'])))
  service.get('/web-stream', async (_, reply) => reply.send(Readable.toWeb(Readable.from([Buffer.from('x')]))))
  service.get('/response', async () => new Response('x', { headers: { 'content-type': 'text/plain' } }))
  service.get('/early', { onRequest: async () => { throw new Error('in a hook') } }, async () => '')
  service.get('/late', { onSend: async () => { throw new Error('in onSend') } }, async () => '')
  service.get('/validated', { schema: { querystring: { type: 'object', required: ['q'] } } }, async () => '')
  service.get('/hijacked', (_, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream' })
    reply.raw.end('data: x\n\n')
  })
  service.get('/hijacked-implicit', (_, reply) => {
    reply.hijack()
    reply.raw.end('x')
  })
  service.get('/not-found-by-handler', (_, reply) => { reply.callNotFound() })
  service.options('/json', async () => '')
  const port = await listen(t, service)

  const asked: ReadonlyArray<readonly [number, string, string]> = [
    [200, 'GET', '/json'], [200, 'HEAD', '/json'], [200, 'OPTIONS', '/json'], [201, 'POST', '/created'],
    [204, 'GET', '/empty'], [302, 'GET', '/redirect'], [403, 'GET', '/refused'], [500, 'GET', '/thrown'],
    [200, 'GET', '/stream'], [200, 'GET', '/web-stream'], [200, 'GET', '/response'], [500, 'GET', '/early'],
    [500, 'GET', '/late'], [400, 'GET', '/validated'], [200, 'GET', '/hijacked'], [200, 'GET', '/hijacked-implicit'],
    [404, 'GET', '/not-found-by-handler'], [404, 'GET', '/no-such-route'],
  ]
  for (const [status, method, path] of asked) {
    const answer = await ask(port, path, { method })
    t.equal(answer.status, status, `${method} ${path}`)
    t.match(answer.headers, DEFAULTS, `${method} ${path} has the policy`)
    t.equal(new Set(answer.names).size, answer.names.length, `${method} ${path} has no header twice`)
  }
})

test('an answer of a hook that runs after this plugin has the policy', async t => {
  const service = await app()
  service.addHook('onRequest', async (_, reply) => reply.code(401).send())
  service.get('/', async () => '')
  const answer = await ask(await listen(t, service))
  t.equal(answer.status, 401)
  t.match(answer.headers, DEFAULTS)
})

test('a 304 has no Content-Security-Policy, even when a later hook decides it', async t => {
  const service = await app()
  service.addHook('onSend', async (_, reply) => { reply.code(304); return '' })
  service.get('/', async () => 'x')
  const { status, headers } = await ask(await listen(t, service))
  t.equal(status, 304)
  t.notOk(headers['content-security-policy'])
  t.equal(headers['x-content-type-options'], 'nosniff')
})

test('writeHead keeps its status message, and a second call fails as it does without the plugin', async t => {
  const service = await app()
  service.get('/', (_, reply) => {
    reply.hijack().raw.writeHead(200, 'Fine').flushHeaders()
    t.throws(() => reply.raw.writeHead(500, { 'x-other': 'y' }), { code: 'ERR_HTTP_HEADERS_SENT' })
    reply.raw.end()
  })
  const answer = await ask(await listen(t, service))
  t.match(answer, { status: 200, reason: 'Fine', headers: DEFAULTS })
})

test('what a handler sets itself wins, however it sets it', async t => {
  const service = await app()
  service.get('/reply', async (_, reply) => reply.header('X-Frame-Options', 'SAMEORIGIN').send({}))
  service.get('/raw', async (_, reply) => { reply.raw.setHeader('X-Frame-Options', 'SAMEORIGIN'); return {} })
  service.get('/stream', async (_, reply) => reply.header('x-frame-options', 'SAMEORIGIN').send(Readable.from(['x'])))
  service.get('/write-head', (_, reply) => {
    reply.hijack().raw.writeHead(200, { 'X-Frame-Options': 'SAMEORIGIN' }).end()
  })
  service.get('/write-head-list', (_, reply) => {
    reply.hijack().raw.writeHead(200, ['X-Frame-Options', 'SAMEORIGIN', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end()
  })
  const port = await listen(t, service)
  for (const path of ['/reply', '/raw', '/stream', '/write-head', '/write-head-list']) {
    const { headers, names } = await ask(port, path)
    t.match(headers, { ...DEFAULTS, 'x-frame-options': 'SAMEORIGIN' }, path)
    t.equal(names.filter(name => name === 'x-frame-options').length, 1, `${path} has it once`)
  }
  t.same((await ask(port, '/write-head-list')).headers['set-cookie'], ['a=1', 'b=2'])
})

test('headers that tell what runs here are removed, however they were set', async t => {
  const service = await app()
  service.get('/reply', async (_, reply) => reply.header('Server', 'x').header('X-Powered-By', 'y').send({}))
  service.get('/raw', async (_, reply) => {
    reply.raw.setHeader('Server', 'x')
    reply.raw.setHeader('X-Powered-By', 'y')
    return {}
  })
  service.get('/write-head', (_, reply) => {
    reply.hijack().raw.writeHead(200, { Server: 'x', 'X-Powered-By': 'y', 'X-Other': 'z' }).end()
  })
  service.get('/write-head-list', (_, reply) => {
    reply.hijack().raw.writeHead(200, ['Server', 'x', 'X-Powered-By', 'y', 'X-Other', 'z']).end()
  })
  const port = await listen(t, service)
  for (const path of ['/reply', '/raw', '/write-head', '/write-head-list']) {
    const { status, headers } = await ask(port, path)
    t.equal(status, 200)
    t.notOk(headers['server'], path)
    t.notOk(headers['x-powered-by'], path)
    if (path.startsWith('/write-head')) t.equal(headers['x-other'], 'z')
  }
})

test('a header that Node refuses to send leaves the policy on the error', async t => {
  const service = await app()
  service.get('/', async (_, reply) => reply.header('x-broken', 'a\nb').send({}))
  const answer = await ask(await listen(t, service))
  t.equal(answer.status, 500)
  t.match(answer.headers, DEFAULTS)
})

test('an informational answer carries none of it', async t => {
  const service = await app()
  service.get('/', (_, reply) => {
    reply.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => { reply.send('x') })
  })
  const socket = net.connect(await listen(t, service), '127.0.0.1')
  socket.end('GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => { text += chunk })
  await once(socket, 'close')
  const [hints, final] = text.split('\r\n\r\n')
  t.match(hints, /^HTTP\/1\.1 103/)
  t.notMatch(hints, /content-security-policy/i)
  t.match(final, /content-security-policy/i)
})

test('an injected request sees the same policy', async t => {
  const { headers } = await (await app()).get('/', async () => 'x').inject('/')
  t.match(headers, DEFAULTS)
})
