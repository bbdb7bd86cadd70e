import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { test, type Test } from 'tap'
import secureHeaders, { NONCE, hash, type CspDirectives, type SecureHeadersOptions } from '@fastkeep/secure-headers'
import { API } from './policies.js'
import { ask, listen, page, sources } from './servers.js'

/** Registrations one in another; the page is in the innermost. */
async function nest (scope: FastifyInstance, [options, ...inner]: readonly SecureHeadersOptions[]): Promise<void> {
  await scope.register(async child => {
    await child.register(secureHeaders, options ?? {})
    if (inner.length > 0) await nest(child as FastifyInstance, inner)
    else child.get('/', page)
  })
}

async function policyOf (t: Test, ...scopes: SecureHeadersOptions[]): Promise<(directive: string) => string | undefined> {
  const app = Fastify()
  await nest(app, scopes)
  const answer = await ask(await listen(t, app))
  return directive => sources(answer, directive)
}

function csp (directives: CspDirectives): SecureHeadersOptions {
  return { contentSecurityPolicy: { directives } }
}

test('append adds to what is inherited, once', async t => {
  const policy = await policyOf(t, csp({ imgSrc: { append: ['https://a.example', "'self'"] } }), csp({ 'img-src': { append: ['https://b.example'] } }))
  t.equal(policy('img-src'), "'self' data: https://a.example https://b.example")
  t.equal(policy('script-src'), "'self'")
})

test("append takes the place of 'none'", async t => {
  const policy = await policyOf(t, csp({ frameAncestors: { append: ["'self'"] } }))
  t.equal(policy('frame-ancestors'), "'self'")
})

test('append to a directive that is left to its fallback starts from the sources of the fallback', async t => {
  const policy = await policyOf(t, csp({ scriptSrcElem: { append: ['https://cdn.example'] }, mediaSrc: { append: ['https://media.example'] } }))
  t.equal(policy('script-src-elem'), "'self' https://cdn.example")
  t.equal(policy('media-src'), 'https://media.example')
})

test('remove takes single sources away, and what is left without any allows nothing', async t => {
  const policy = await policyOf(t, csp({ imgSrc: { remove: ['data:'] }, fontSrc: { remove: ["'self'"] } }))
  t.equal(policy('img-src'), "'self'")
  t.equal(policy('font-src'), "'none'")
})

test('remove and append together exchange a source; replace and an array mean the same', async t => {
  const policy = await policyOf(t, csp({ imgSrc: { remove: ['data:'], append: ['blob:'] }, fontSrc: { replace: ['https:'] }, connectSrc: ['wss:'] }))
  t.equal(policy('img-src'), "'self' blob:")
  t.equal(policy('font-src'), 'https:')
  t.equal(policy('connect-src'), 'wss:')
})

test('a child scope removes what its parent has set, and a grandchild has it again', async t => {
  const parent = csp({ imgSrc: { append: ['https://img.example'] }, mediaSrc: ['https://media.example'] })
  const policy = await policyOf(t, parent, csp({ imgSrc: { remove: ['https://img.example'] }, mediaSrc: null }))
  t.equal(policy('img-src'), "'self' data:")
  t.equal(policy('media-src'), undefined)
  const again = await policyOf(t, parent, csp({ mediaSrc: null }), csp({ mediaSrc: ["'self'"] }))
  t.equal(again('media-src'), "'self'")
})

test('useDefaults: false starts from nothing', async t => {
  const policy = await policyOf(t, { contentSecurityPolicy: { useDefaults: false, directives: { objectSrc: ["'none'"] } } })
  t.equal(policy('object-src'), "'none'")
  t.equal(policy('default-src'), undefined)
})

test('an enforced and a report-only policy go out together, the second without what browsers do not take in it', async t => {
  const app = Fastify()
  await app.register(secureHeaders, {
    contentSecurityPolicyReportOnly: { directives: { imgSrc: ["'none'"], sandbox: ['allow-forms'], scriptSrc: { append: [NONCE] } } },
  })
  app.get('/', page)
  app.get('/json', async () => ({}))
  const port = await listen(t, app)
  const { headers } = await ask(port)
  t.match(headers['content-security-policy'], /img-src 'self' data:;/)
  const reportOnly = String(headers['content-security-policy-report-only'])
  t.match(reportOnly, /img-src 'none';/)
  t.match(reportOnly, /script-src 'self' 'nonce-[^']{24}'/)
  t.notMatch(reportOnly, /sandbox|upgrade-insecure/)
  t.equal((await ask(port, '/json')).headers['content-security-policy-report-only'], undefined)
})

test('both policies of a response have the same nonce', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicyReportOnly: {} })
  app.get('/', async (_, reply) => await reply.type('text/html').send(`${reply.cspNonce}`))
  const { headers, body } = await ask(await listen(t, app))
  for (const name of ['content-security-policy', 'content-security-policy-report-only']) {
    t.equal(String(headers[name]).split(`script-src 'self' 'nonce-${body}'`).length, 2, name)
  }
})

test("'nonce' puts the nonce into any directive that takes one, and nowhere else", async t => {
  const app = Fastify()
  await app.register(secureHeaders, csp({ defaultSrc: ["'nonce'"], imgSrc: [NONCE, 'https:'], fontSrc: ["'self'"] }))
  app.get('/', async (_, reply) => await reply.type('text/html').send(`${reply.cspNonce}`))
  app.get('/unread', page)
  const port = await listen(t, app)
  const answer = await ask(port)
  t.equal(sources(answer, 'default-src'), `'nonce-${answer.body}'`)
  t.equal(sources(answer, 'img-src'), `'nonce-${answer.body}' https:`)
  t.equal(sources(answer, 'script-src'), "'self'")
  const unread = [await ask(port, '/unread'), await ask(port, '/unread')].map(answer => sources(answer, 'default-src'))
  for (const source of unread) t.match(source, /^'nonce-[A-Za-z0-9+/]{22}=='$/)
  t.not(unread[0], unread[1])
})

test("'nonce' is refused where browsers look for none", async t => {
  for (const directive of ['base-uri', 'form-action', 'frame-ancestors', 'sandbox', 'report-to']) {
    await t.rejects(policyOf(t, csp({ [directive]: [NONCE] })), { code: 'FST_KEEP_SECURE_HEADERS_CSP' }, directive)
  }
})

test('hash() gives the source of an inline block', async t => {
  // The example of https://www.w3.org/TR/CSP3/#external-hash, for "alert('Hello, world.');"
  t.equal(hash("alert('Hello, world.');"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='")
  t.match(hash('x', 'sha384'), /^'sha384-[^']{64}'$/)
  t.match(hash('x', 'sha512'), /^'sha512-[^']{88}'$/)
  t.throws(() => hash('x', 'md5' as 'sha256'), { code: 'FST_KEEP_SECURE_HEADERS_CSP', message: /"md5".*sha256, sha384, sha512/ })
  const policy = await policyOf(t, csp({ scriptSrc: { append: [hash('x')] } }))
  t.equal(policy('script-src'), `'self' ${hash('x')}`)
})

test('a function gives sources for its request', async t => {
  const app = Fastify()
  const tenant = (request: FastifyRequest): string => `https://${(request.query as { tenant: string }).tenant}.example`
  await app.register(secureHeaders, csp({ imgSrc: { append: [tenant] }, connectSrc: [() => ["'self'", 'wss://a.example']], fontSrc: [() => []] }))
  app.get('/', async (_, reply) => await reply.type('text/html').send(`${reply.cspNonce}`))
  const port = await listen(t, app)
  for (const name of ['one', 'two']) {
    const answer = await ask(port, `/?tenant=${name}`)
    t.equal(sources(answer, 'img-src'), `'self' data: https://${name}.example`)
    t.equal(sources(answer, 'connect-src'), "'self' wss://a.example")
    t.equal(sources(answer, 'font-src'), "'none'")
    t.equal(sources(answer, 'script-src'), `'self' 'nonce-${answer.body}'`)
  }
})

test('a function that fails, or gives what no directive can hold, makes a 500 with all headers but its sources', async t => {
  const app = Fastify()
  app.setErrorHandler(async (error: Error, request, reply) => (request.query as { html?: string }).html === undefined
    ? reply.code(500).send({ message: error.message })
    : await reply.code(500).type('text/html').send('failed'))
  await app.register(secureHeaders, csp({ imgSrc: ["'self'", request => (request.query as { source?: string }).source ?? failing()], mediaSrc: [() => failing()] }))
  app.get('/', { secureHeaders: csp({ mediaSrc: null }) as never }, page)
  app.get('/media', page)
  const port = await listen(t, app)
  for (const source of ['', '?source=x%3Bscript-src+*', '?source=a%0d%0aset-cookie:a', '?source=a,b', '?source=self', '?source=%00']) {
    const { status, headers } = await ask(port, `/${source}`)
    t.equal(status, 500, source)
    t.match(headers, API, source)
  }
  const html = await ask(port, '/media?html=1&source=https://a.example')
  t.equal(html.status, 500)
  t.equal(sources(html, 'img-src'), "'self'")
  t.equal(sources(html, 'media-src'), "'none'")
  t.equal((await ask(port, '/?source=https://a.example')).status, 200)
})

function failing (): never {
  throw new Error('on purpose')
}
