import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureHeaders from '@fastkeep/secure-headers'
import { API, ASSET, DOCUMENT, only } from './policies.js'
import { ask, listen } from './servers.js'

async function serviceOf (types: readonly string[]): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(secureHeaders)
  for (const [i, type] of types.entries()) {
    app.get(`/${i}`, async (_, reply) => reply.header('content-type', type).send('x'))
    app.get(`/stream/${i}`, async (_, reply) => reply.header('content-type', type).send(Readable.from(['x'])))
    app.get(`/hijacked/${i}`, (_, reply) => { reply.hijack().raw.writeHead(200, { 'Content-Type': type }).end('x') })
  }
  return app
}

const CLASSES: ReadonlyArray<readonly [string, Record<string, string>, readonly string[]]> = [
  ['document', DOCUMENT, ['text/html', 'TEXT/HTML; charset=utf-8', 'application/xhtml+xml', 'image/svg+xml', 'application/pdf',
    'text/javascript', 'application/javascript; charset=utf-8', 'application/xml', 'application/octet-stream', 'image',
    'nonsense', 'image/png, text/html', 'text/html x+json', 'image/png text/html', 'image/x+xml', 'multipart/mixed']],
  ['api', API, ['application/json', 'application/json; charset=utf-8', 'Application/Problem+JSON', 'application/ld+json ; a=b',
    'text/event-stream', 'text/plain; charset=utf-8', 'application/x-ndjson']],
  ['asset', ASSET, ['text/css', 'font/woff2', 'image/png', 'image/avif', 'audio/mpeg', 'video/mp4; codecs="a;b"',
    'application/manifest+json']],
]

for (const [name, policy, types] of CLASSES) {
  test(`an answer of these types has the headers of its class and no others: ${name}`, async t => {
    const port = await listen(t, await serviceOf(types))
    for (const [i, type] of types.entries()) {
      // Fastify itself refuses to send a string under a type that is none.
      for (const path of [.../^\w+\/[\w.+-]+( ?;.*)?$/.test(type) ? [`/${i}`] : [], `/stream/${i}`, `/hijacked/${i}`]) {
        const { headers, status } = await ask(port, path)
        t.equal(status, 200)
        t.match(headers, only(policy), `${type} at ${path}`)
      }
    }
  })
}

test('an answer without a content type has all headers', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', async (_, reply) => reply.code(204).send())
  app.get('/redirect', async (_, reply) => reply.redirect('/'))
  app.get('/hijacked', (_, reply) => { reply.hijack().raw.end('<script>x</script>') })
  const port = await listen(t, app)
  for (const path of ['/', '/redirect', '/hijacked']) t.match((await ask(port, path)).headers, only(DOCUMENT), path)
})

test('data and parts of documents keep who may frame them', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { directives: { frameAncestors: ["'self'", 'https://partner.example'] } } })
  app.get('/json', async () => ({}))
  app.get('/css', async (_, reply) => reply.type('text/css').send('x'))
  const port = await listen(t, app)
  for (const path of ['/json', '/css']) {
    t.match((await ask(port, path)).headers['content-security-policy'], /frame-ancestors 'self' https:\/\/partner.example$/)
  }
})

test('a 304 has no Content-Security-Policy, no report-only one and no Cache-Control of the policy, whatever its type', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicyReportOnly: {} })
  app.get('/bare', async (_, reply) => { reply.code(304); return await reply.send() })
  app.get('/html', async (_, reply) => reply.code(304).type('text/html').send())
  app.get('/json', async (_, reply) => reply.code(304).type('application/json').send())
  app.get('/nonce', async (_, reply) => { t.ok(reply.cspNonce); return await reply.code(304).type('text/html').send() })
  app.get('/hijacked', (_, reply) => { reply.hijack().raw.writeHead(304, { etag: '"x"' }).end() })
  const port = await listen(t, app)
  for (const path of ['/bare', '/html', '/json', '/nonce', '/hijacked']) {
    const { status, headers } = await ask(port, path)
    t.equal(status, 304)
    t.match(headers, { 'content-security-policy': undefined, 'content-security-policy-report-only': undefined, 'cache-control': undefined }, path)
    t.equal(headers['x-content-type-options'], 'nosniff', path)
  }
})
