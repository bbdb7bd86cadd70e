import { once } from 'node:events'
import http2 from 'node:http2'
import Fastify from 'fastify'
import { test } from 'tap'
import secureHeaders from '@fastkeep/secure-headers'
import { certificate } from './certificate.js'
import { ask, listen, page, sources } from './servers.js'

const HSTS = 'max-age=63072000; includeSubDomains'
const { key, cert } = certificate()

test('over TLS the policy has HSTS and upgrade-insecure-requests', async t => {
  const app = Fastify({ https: { key, cert } })
  await app.register(secureHeaders)
  app.get('/', page)
  const answer = await ask(await listen(t, app), '/', { ca: cert })
  t.equal(answer.headers['strict-transport-security'], HSTS)
  t.equal(sources(answer, 'upgrade-insecure-requests'), '')
})

test('over plain HTTP it has neither, whatever a client without a trusted proxy claims', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', page)
  const answer = await ask(await listen(t, app), '/', { headers: { 'x-forwarded-proto': 'https' } })
  t.notOk(answer.headers['strict-transport-security'])
  t.equal(sources(answer, 'upgrade-insecure-requests'), undefined)
})

test('behind a trusted proxy the scheme and the host are those that the proxy tells', async t => {
  const app = Fastify({ trustProxy: '127.0.0.1' })
  await app.register(secureHeaders)
  app.get('/', page)
  const port = await listen(t, app)

  const overTls = await ask(port, '/', { headers: { 'x-forwarded-proto': 'https' } })
  t.equal(overTls.headers['strict-transport-security'], HSTS)
  t.equal(sources(overTls, 'upgrade-insecure-requests'), '')

  const overHttp = await ask(port, '/', { headers: { 'x-forwarded-proto': 'http' } })
  t.notOk(overHttp.headers['strict-transport-security'])

  const local = await ask(port, '/', { headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'localhost' } })
  t.notOk(local.headers['strict-transport-security'])
  t.equal(sources(local, 'upgrade-insecure-requests'), '')
})

test('HSTS goes to host names and never to localhost or an IP address', async t => {
  const app = Fastify({ https: { key, cert } })
  await app.register(secureHeaders)
  app.get('/', page)
  const port = await listen(t, app)

  for (const host of ['example.test', 'EXAMPLE.test.', 'example.test:8443', 'mylocalhost', 'localhost.example.test', '4.example']) {
    const { headers } = await ask(port, '/', { ca: cert, headers: { host } })
    t.equal(headers['strict-transport-security'], HSTS, host)
  }
  for (const host of ['localhost', 'LocalHost', 'localhost.', 'localhost:8443', 'app.localhost', 'a.b.localhost.:1',
    '127.0.0.1', '127.0.0.1:8443', '10.0.0.1.', '127.1', '[::1]', '[::1]:8443', '[2001:db8::1]']) {
    const { status, headers } = await ask(port, '/', { ca: cert, headers: { host } })
    t.equal(status, 200)
    t.notOk(headers['strict-transport-security'], host)
  }
})

test('over HTTP/2 every answer has the policy, with what a handler set', async t => {
  const app = Fastify({ http2: true, https: { key, cert } })
  await app.register(secureHeaders)
  app.get('/', async (_, reply) => reply.type('text/html').send('x'))
  app.get('/set', async (_, reply) => reply.header('X-Frame-Options', 'SAMEORIGIN').header('Server', 'x').type('text/html').send('x'))
  app.get('/hijacked', (_, reply) => { reply.hijack().raw.end('x') })
  app.get('/cookies', (_, reply) => { reply.hijack().raw.writeHead(200, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'] as never).end('x') })
  app.get('/nonce', async (_, reply) => reply.type('text/html').send(String(reply.cspNonce)))
  const port = await listen(t, app)
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca: cert, servername: 'example.test' })
  t.teardown(() => session.close())

  async function get (path: string): Promise<http2.IncomingHttpHeaders> {
    const stream = session.request({ ':path': path, ':authority': 'example.test' })
    const [headers] = await once(stream.resume(), 'response') as [http2.IncomingHttpHeaders]
    return headers
  }

  for (const path of ['/', '/set', '/hijacked']) {
    const headers = await get(path)
    t.equal(headers['strict-transport-security'], HSTS, path)
    t.match(headers['content-security-policy'], /^default-src 'none'; .*upgrade-insecure-requests$/, path)
    t.equal(headers['x-frame-options'], path === '/set' ? 'SAMEORIGIN' : 'DENY', path)
    t.notOk(headers['server'], path)
  }
  t.equal(String((await get('/cookies'))['set-cookie']), 'a=1,b=2')
  t.match((await get('/nonce'))['content-security-policy'], /script-src 'self' 'nonce-/)
})
