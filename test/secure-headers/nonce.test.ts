import { PassThrough } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureHeaders, { type CspDirectives } from '@fastkeep/secure-headers'
import { ask, listen, noncePage, page, sources } from './servers.js'

async function app (directives: CspDirectives = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { directives } })
  return app
}

test('a nonce that is read is in script-src and style-src of its response, and is the same at each read', async t => {
  const service = await app()
  service.get('/', async (_, reply) => reply.type('text/html').send(`${reply.cspNonce} ${reply.cspNonce}`))
  const answer = await ask(await listen(t, service))
  const [nonce, again] = answer.body.split(' ')
  t.equal(again, nonce)
  t.equal(sources(answer, 'script-src'), `'self' 'nonce-${nonce}'`)
  t.equal(sources(answer, 'style-src'), `'self' 'nonce-${nonce}'`)
  t.equal(sources(answer, 'default-src'), "'none'")
})

test('a nonce is 128 bits in base64 and another one in each response', async t => {
  const service = await app()
  service.get('/', noncePage)
  const port = await listen(t, service)
  const nonces = await Promise.all(Array.from({ length: 20 }, async () => (await ask(port)).body))
  t.equal(new Set(nonces).size, 20)
  for (const nonce of nonces) t.match(nonce, /^[A-Za-z0-9+/]{22}==$/)
})

test('a response whose nonce nobody reads has none', async t => {
  const service = await app()
  service.get('/nonce', noncePage)
  service.get('/', page)
  const port = await listen(t, service)
  await ask(port, '/nonce')
  t.notMatch((await ask(port)).headers['content-security-policy'], /nonce-/)
})

test('the nonce counts wherever it was read before the head was sent', async t => {
  const service = await app()
  service.get('/hook', { onSend: async (_, reply) => String(reply.cspNonce) }, page)
  service.setErrorHandler((error: Error, _, reply) => { reply.type('text/html').send(error.message) })
  service.get('/thrown', async (_, reply) => { throw new Error(String(reply.cspNonce)) })
  service.get('/hijacked', (_, reply) => {
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/html' }).end(String(reply.cspNonce))
  })
  service.get('/hijacked-before', (_, reply) => {
    const nonce = String(reply.cspNonce)
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/html' }).end(nonce)
  })
  service.get('/stream', async (_, reply) => {
    const body = new PassThrough()
    body.end(String(reply.cspNonce))
    return reply.type('text/html').send(body)
  })
  const port = await listen(t, service)
  for (const path of ['/hook', '/hijacked-before', '/stream']) {
    const answer = await ask(port, path)
    t.equal(sources(answer, 'script-src'), `'self' 'nonce-${answer.body}'`, path)
  }
  const thrown = await ask(port, '/thrown')
  t.equal(sources(thrown, 'script-src'), `'self' 'nonce-${thrown.body}'`)
})

test('a nonce first read after the head was sent is refused', async t => {
  const service = await app()
  service.get('/', async (_, reply) => {
    reply.hijack().raw.flushHeaders()
    t.throws(() => reply.cspNonce, { code: 'FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE' })
    reply.raw.end()
  })
  const answer = await ask(await listen(t, service))
  t.notMatch(answer.headers['content-security-policy'], /nonce-/)
})

test('the nonce also goes to the directives that browsers read for elements', async t => {
  const service = await app({ scriptSrcElem: ["'none'"], 'style-src-elem': ['https://cdn.example'] })
  service.get('/', noncePage)
  const answer = await ask(await listen(t, service))
  t.equal(sources(answer, 'script-src-elem'), `'nonce-${answer.body}'`)
  t.equal(sources(answer, 'style-src-elem'), `https://cdn.example 'nonce-${answer.body}'`)
})

test("where a directive is left to default-src, the nonce adds to that one's sources and does not replace them", async t => {
  const service = await app({ defaultSrc: ["'self'"], scriptSrc: null, styleSrc: null })
  service.get('/', noncePage)
  const answer = await ask(await listen(t, service))
  t.equal(sources(answer, 'script-src'), `'self' 'nonce-${answer.body}'`)
  t.equal(sources(answer, 'default-src'), "'self'")
})

test('a policy that says nothing of scripts is not narrowed by a nonce', async t => {
  const service = await app({ defaultSrc: null, scriptSrc: null, styleSrc: null })
  service.get('/', noncePage)
  t.notMatch((await ask(await listen(t, service))).headers['content-security-policy'], /nonce-|script-src /)
})

test('a route without the policy still gives a nonce to the views it shares', async t => {
  const service = await app()
  service.get('/', { secureHeaders: false }, noncePage)
  const { body, headers } = await ask(await listen(t, service))
  t.match(body, /^.{24}$/)
  t.notOk(headers['content-security-policy'])
})
