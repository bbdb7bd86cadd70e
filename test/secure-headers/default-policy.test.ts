import { once } from 'node:events'
import net from 'node:net'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureHeaders from '@fastkeep/secure-headers'
import { API, DOCUMENT, only } from './policies.js'
import { ask, listen, page } from './servers.js'

async function app (): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(secureHeaders)
  return app
}

test('a bare registration sends the whole default policy, each header once, and nothing of its own besides', async t => {
  const bare = Fastify()
  bare.get('/', page)
  const port = await listen(t, (await app()).get('/', page))
  const without = await ask(await listen(t, bare))
  const answer = await ask(port)
  t.match(answer.headers, DOCUMENT)
  t.same([...answer.names].sort(), [...without.names, ...Object.keys(DOCUMENT)].sort())
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

  const asked: ReadonlyArray<readonly [number, string, string, Record<string, string>?]> = [
    [200, 'GET', '/json', API], [200, 'HEAD', '/json', API], [200, 'OPTIONS', '/json', API], [201, 'POST', '/created', API],
    [204, 'GET', '/empty'], [302, 'GET', '/redirect'], [403, 'GET', '/refused', API], [500, 'GET', '/thrown', API],
    [200, 'GET', '/stream'], [200, 'GET', '/web-stream'], [200, 'GET', '/response', API], [500, 'GET', '/early', API],
    [500, 'GET', '/late', API], [400, 'GET', '/validated', API], [200, 'GET', '/hijacked', API], [200, 'GET', '/hijacked-implicit'],
    [404, 'GET', '/not-found-by-handler', API], [404, 'GET', '/no-such-route', API],
  ]
  for (const [status, method, path, policy = DOCUMENT] of asked) {
    const answer = await ask(port, path, { method })
    t.equal(answer.status, status, `${method} ${path}`)
    t.match(answer.headers, only(policy), `${method} ${path} has the policy`)
    t.equal(new Set(answer.names).size, answer.names.length, `${method} ${path} has no header twice`)
  }
})

test('an answer of a hook that runs after this plugin has the policy', async t => {
  const service = await app()
  service.addHook('onRequest', async (_, reply) => reply.code(401).send())
  service.get('/', async () => '')
  const answer = await ask(await listen(t, service))
  t.equal(answer.status, 401)
  t.match(answer.headers, DOCUMENT)
})

test('a 304 has no Content-Security-Policy, even when a later hook decides it', async t => {
  const service = await app()
  service.addHook('onSend', async (_, reply) => { reply.code(304); return '' })
  service.get('/', page)
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
  t.match(answer, { status: 200, reason: 'Fine', headers: DOCUMENT })
})

test('what a handler sets itself wins, however it sets it', async t => {
  const service = await app()
  service.get('/reply', async (_, reply) => reply.header('X-Frame-Options', 'SAMEORIGIN').type('text/html').send('x'))
  service.get('/raw', async (_, reply) => { reply.raw.setHeader('X-Frame-Options', 'SAMEORIGIN'); return await page(_, reply) })
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
    t.match(headers, { ...DOCUMENT, 'x-frame-options': 'SAMEORIGIN' }, path)
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
  service.get('/', async (_, reply) => reply.header('x-broken', 'a\nb').type('text/html').send('x'))
  const answer = await ask(await listen(t, service))
  t.equal(answer.status, 500)
  t.match(answer.headers, DOCUMENT)
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
  const { headers } = await (await app()).get('/', page).inject('/')
  t.match(headers, DOCUMENT)
})
