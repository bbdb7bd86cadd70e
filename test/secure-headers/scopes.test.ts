import Fastify from 'fastify'
import { test } from 'tap'
import secureHeaders, { type SecureHeadersRouteOption } from '@fastkeep/secure-headers'
import { ask, listen, page, sources } from './servers.js'

test('options change the policy header by header and directive by directive', async t => {
  const app = Fastify()
  await app.register(secureHeaders, {
    contentSecurityPolicy: { directives: { imgSrc: ['https://img.example'], 'form-action': null } },
    permissionsPolicy: { camera: ['self', 'https://*.cam.example'], fullscreen: ['*'], unload: null },
    crossOriginEmbedderPolicy: 'require-corp',
    crossOriginOpenerPolicy: 'same-origin-allow-popups',
    referrerPolicy: undefined,
    xFrameOptions: false,
  })
  app.get('/', page)
  const answer = await ask(await listen(t, app))
  t.equal(sources(answer, 'img-src'), 'https://img.example')
  t.equal(sources(answer, 'form-action'), undefined)
  t.equal(sources(answer, 'script-src'), "'self'")
  t.match(answer.headers['permissions-policy'], 'camera=(self "https://*.cam.example"), ')
  t.match(answer.headers['permissions-policy'], 'fullscreen=*, ')
  t.match(answer.headers['permissions-policy'], 'geolocation=()')
  t.notMatch(answer.headers['permissions-policy'], 'unload')
  t.equal(answer.headers['cross-origin-embedder-policy'], 'require-corp')
  t.equal(answer.headers['cross-origin-opener-policy'], 'same-origin-allow-popups')
  t.equal(answer.headers['referrer-policy'], 'no-referrer')
  t.notOk(answer.headers['x-frame-options'])
})

test('HSTS takes its options, and what is not given keeps its default', async t => {
  const app = Fastify({ trustProxy: true })
  await app.register(secureHeaders, { strictTransportSecurity: { maxAge: 86_400 } })
  app.get('/', page)
  app.get('/preload', { secureHeaders: { strictTransportSecurity: { maxAge: 31_536_000, preload: true } } }, page)
  app.get('/off', { secureHeaders: { strictTransportSecurity: false } }, page)
  const port = await listen(t, app)
  const headers = { 'x-forwarded-proto': 'https' }
  t.equal((await ask(port, '/', { headers })).headers['strict-transport-security'], 'max-age=86400; includeSubDomains')
  t.equal((await ask(port, '/preload', { headers })).headers['strict-transport-security'],
    'max-age=31536000; includeSubDomains; preload')
  t.notOk((await ask(port, '/off', { headers })).headers['strict-transport-security'])
})

test('a route inherits the plugin options and changes only what it names', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc: ["'self'"] } }, xFrameOptions: 'SAMEORIGIN' })
  app.get('/', { secureHeaders: { contentSecurityPolicy: { directives: { 'script-src': ['https://cdn.example'] } } } }, page)
  app.get('/other', page)
  const port = await listen(t, app)
  for (const method of ['GET', 'HEAD']) {
    const answer = await ask(port, '/', { method })
    t.equal(sources(answer, 'script-src'), 'https://cdn.example', method)
    t.equal(sources(answer, 'img-src'), "'self'")
    t.equal(answer.headers['x-frame-options'], 'SAMEORIGIN')
  }
  t.equal(sources(await ask(port, '/other'), 'script-src'), "'self'")
})

test('what is added to an array after it was checked reaches no policy', async t => {
  const imgSrc = ["'self'"]
  const camera = ['self']
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc } }, permissionsPolicy: { camera } })
  imgSrc.push('x; script-src *')
  camera.push('x"), geolocation=*')
  app.get('/', { secureHeaders: { xFrameOptions: 'SAMEORIGIN' } }, page)
  const answer = await ask(await listen(t, app))
  t.equal(sources(answer, 'img-src'), "'self'")
  t.match(answer.headers['permissions-policy'], 'camera=(self),')
  t.notMatch(answer.headers['permissions-policy'], 'geolocation=*')
})

test('false on a route sends none of the headers and removes none', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', { secureHeaders: false }, async (_, reply) => reply.header('x-powered-by', 'y').send('x'))
  const { headers } = await ask(await listen(t, app))
  t.same(Object.keys(headers).sort(), ['connection', 'content-length', 'content-type', 'date', 'x-powered-by'])
})

test('a policy that is off comes back with the defaults where a route gives an object', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: false })
  app.get('/', page)
  app.get('/on', { secureHeaders: { contentSecurityPolicy: {} } }, page)
  const port = await listen(t, app)
  t.notOk((await ask(port)).headers['content-security-policy'])
  t.equal(sources(await ask(port, '/on'), 'default-src'), "'none'")
})

test('the policy of a route holds for errors before its handler too', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.addHook('onRequest', async () => { throw new Error('early') })
  app.setErrorHandler((_, __, reply) => reply.code(500).type('text/html').send('failed'))
  app.get('/', { secureHeaders: { xFrameOptions: 'SAMEORIGIN' } }, page)
  const { status, headers } = await ask(await listen(t, app))
  t.equal(status, 500)
  t.equal(headers['x-frame-options'], 'SAMEORIGIN')
})

test('a registration in a child scope changes what it inherits there and nowhere else', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { directives: { imgSrc: null } }, xFrameOptions: 'SAMEORIGIN' })
  await app.register(async child => {
    child.get('/before', page)
    await child.register(secureHeaders, { xFrameOptions: false, referrerPolicy: 'origin' })
    child.get('/after', page)
    child.get('/route', { secureHeaders: { contentSecurityPolicy: false } }, page)
    child.setNotFoundHandler(page)
  }, { prefix: '/child' })
  app.get('/parent', page)
  app.setNotFoundHandler(page)
  const port = await listen(t, app)

  for (const path of ['/child/before', '/child/after', '/child/none']) {
    const answer = await ask(port, path)
    t.notOk(answer.headers['x-frame-options'], path)
    t.equal(answer.headers['referrer-policy'], 'origin', path)
    t.equal(sources(answer, 'img-src'), undefined, path)
  }
  t.match((await ask(port, '/child/route')).headers, { 'referrer-policy': 'origin', 'content-security-policy': undefined })
  for (const path of ['/parent', '/none']) {
    t.match((await ask(port, path)).headers, { 'x-frame-options': 'SAMEORIGIN', 'referrer-policy': 'no-referrer' }, path)
  }
})

test('a registration in a child scope alone leaves the rest of the service as it is', async t => {
  const app = Fastify()
  await app.register(async child => {
    await child.register(secureHeaders)
    child.get('/child', page)
  })
  app.get('/', page)
  const port = await listen(t, app)
  t.ok((await ask(port, '/child')).headers['x-frame-options'])
  t.notOk((await ask(port)).headers['x-frame-options'])
})

test('a second registration in the same scope is refused', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  await t.rejects(async () => { await app.register(secureHeaders, { xFrameOptions: false }) }, { code: 'FST_KEEP_SECURE_HEADERS_REGISTERED_TWICE' })
})

test('a wrong route option is refused when the route is added, and named as such', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  const refusals: ReadonlyArray<readonly [unknown, string, RegExp]> = [
    [true, 'OPTION_INVALID', /"secureHeaders" must be false or an object of options, got true/],
    [null, 'OPTION_INVALID', /got null/],
    [{ hsst: false }, 'OPTION_UNKNOWN', /unknown option "secureHeaders.hsst"/],
    [{ xFrameOption: false }, 'OPTION_UNKNOWN', /did you mean "xFrameOptions"/],
    [{ contentSecurityPolicy: { directives: { scriptSrc: ['self'] } } }, 'CSP', /write "'self'"/],
  ]
  for (const [secureHeaders, code, message] of refusals) {
    t.throws(() => app.get('/', { secureHeaders: secureHeaders as SecureHeadersRouteOption }, page),
      { code: `FST_KEEP_SECURE_HEADERS_${code}`, message, exitCode: 78 })
  }
})
