import Fastify from 'fastify'
import { test } from 'tap'
import secureHeaders, { type SecureHeadersRouteOption } from '@fastkeep/secure-headers'
import { DOCUMENT, only } from './policies.js'
import { ask, listen, page, sources } from './servers.js'

test('reply.secureHeaders changes one response, which keeps its nonce', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', async (_, reply) => {
    const nonce = String(reply.cspNonce)
    reply.secureHeaders({ contentSecurityPolicy: { directives: { imgSrc: { append: ['https://a.example'] } } }, xFrameOptions: 'SAMEORIGIN' })
    reply.secureHeaders({ contentSecurityPolicy: { directives: { imgSrc: { append: ['https://b.example'] } } } })
    return await reply.type('text/html').send(nonce)
  })
  app.get('/other', page)
  const port = await listen(t, app)
  const answer = await ask(port)
  t.equal(sources(answer, 'img-src'), "'self' data: https://a.example https://b.example")
  t.equal(sources(answer, 'script-src'), `'self' 'nonce-${answer.body}'`)
  t.equal(answer.headers['x-frame-options'], 'SAMEORIGIN')
  t.match((await ask(port, '/other')).headers, only(DOCUMENT))
})

test('reply.secureHeaders starts from the policy of its route, and from that of the scope where the route has none', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { referrerPolicy: 'origin' })
  const change = { xFrameOptions: 'SAMEORIGIN' } as const
  app.get('/route', { secureHeaders: { referrerPolicy: 'same-origin' } }, async (request, reply) => await page(request, reply.secureHeaders(change)))
  app.get('/off', { secureHeaders: false }, async (request, reply) => await page(request, reply.secureHeaders(change)))
  app.get('/turned-off', async (request, reply) => await page(request, reply.secureHeaders(false)))
  const port = await listen(t, app)
  t.match((await ask(port, '/route')).headers, { 'referrer-policy': 'same-origin', 'x-frame-options': 'SAMEORIGIN' })
  t.match((await ask(port, '/off')).headers, { 'referrer-policy': 'origin', 'x-frame-options': 'SAMEORIGIN' })
  t.match((await ask(port, '/turned-off')).headers, only({}))
})

test('a wrong change of one response fails that response, which has the headers it had', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.setErrorHandler(async (error: Error & { code: string }, _, reply) => await reply.code(500).type('text/html').send(error.code))
  const wrong: ReadonlyArray<readonly [unknown, string]> = [
    [{ xFrameOption: false }, 'OPTION_UNKNOWN'],
    [{ contentSecurityPolicy: { directives: { imgSrc: ['a; script-src *'] } } }, 'CSP'],
    [{ reporting: { path: '/x' } }, 'OPTION_INVALID'],
    [null, 'OPTION_INVALID'],
  ]
  for (const [i, [change]] of wrong.entries()) {
    app.get(`/${i}`, async (request, reply) => await page(request, reply.secureHeaders(change as SecureHeadersRouteOption)))
  }
  const port = await listen(t, app)
  for (const [i, [, code]] of wrong.entries()) {
    const { status, headers, body } = await ask(port, `/${i}`)
    t.equal(status, 500)
    t.equal(body, `FST_KEEP_SECURE_HEADERS_${code}`)
    t.match(headers, only(DOCUMENT))
  }
})

test('a change after the head was sent is refused', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', (_, reply) => {
    reply.hijack().raw.flushHeaders()
    t.throws(() => reply.secureHeaders({}), { code: 'FST_KEEP_SECURE_HEADERS_TOO_LATE' })
    reply.raw.end()
  })
  t.equal((await ask(await listen(t, app))).status, 200)
})

test('clearSiteData tells the browser what to forget', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/logout', async (_, reply) => reply.clearSiteData().redirect('/'))
  app.get('/some', async (_, reply) => await reply.clearSiteData('cache', '*').send())
  app.get('/wrong', async (_, reply) => await reply.clearSiteData('cookie' as 'cookies').send())
  const port = await listen(t, app)
  t.equal((await ask(port, '/logout')).headers['clear-site-data'], '"cache", "cookies", "storage"')
  t.equal((await ask(port, '/some')).headers['clear-site-data'], '"cache", "*"')
  t.match(await ask(port, '/wrong'), { status: 500, body: /FST_KEEP_SECURE_HEADERS_CLEAR_SITE_DATA.*"cookie\\"/ })
})

test('a document for an authenticated request goes to no cache', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', page)
  app.get('/css', async (_, reply) => await reply.type('text/css').send('x'))
  app.get('/own', async (request, reply) => await page(request, reply.header('cache-control', 'private')))
  const port = await listen(t, app)
  const headers = { authorization: 'Bearer x' }
  t.equal((await ask(port, '/')).headers['cache-control'], undefined)
  t.equal((await ask(port, '/', { headers })).headers['cache-control'], 'no-store')
  t.equal((await ask(port, '/css', { headers })).headers['cache-control'], undefined)
  t.equal((await ask(port, '/own', { headers })).headers['cache-control'], 'private')
})

test('who is authenticated can be told, and a doubt counts as yes', async t => {
  const app = Fastify()
  await app.register(secureHeaders, {
    cacheControl: {
      isAuthenticated: ({ headers }) => {
        if (headers.cookie === 'broken') throw new Error('on purpose')
        return headers.cookie === 'session=1'
      },
    },
  })
  app.get('/', page)
  app.get('/never', { secureHeaders: { cacheControl: { documents: 'never' } } }, page)
  app.get('/always', { secureHeaders: { cacheControl: { documents: 'always', value: 'no-store, max-age=0' } } }, page)
  app.get('/json', { secureHeaders: { cacheControl: false } }, async () => ({}))
  const port = await listen(t, app)
  const asked: ReadonlyArray<readonly [string, string, string | undefined]> = [
    ['/', 'session=1', 'no-store'], ['/', 'broken', 'no-store'], ['/', 'other=1', undefined],
    ['/never', 'session=1', undefined], ['/always', 'other=1', 'no-store, max-age=0'], ['/json', 'session=1', undefined],
  ]
  for (const [path, cookie, expected] of asked) {
    t.equal((await ask(port, path, { headers: { cookie } })).headers['cache-control'], expected, `${path} with ${cookie}`)
  }
})

test('a document with a nonce goes to no shared cache, unless the handler says so', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', async (_, reply) => await reply.type('text/html').send(`${reply.cspNonce}`))
  app.get('/own', async (_, reply) => await reply.type('text/html').header('Cache-Control', 'public').send(`${reply.cspNonce}`))
  const port = await listen(t, app)
  t.equal((await ask(port)).headers['cache-control'], 'private')
  t.equal((await ask(port, '/own')).headers['cache-control'], 'public')
})

test('the nonce has views for scripts and styles, and goes into templates as it is', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  app.get('/', async (_, reply) => {
    const { cspNonce } = reply
    return await reply.type('text/html').send([`${cspNonce}`, cspNonce.script, cspNonce.style, cspNonce.replace('=', '='), '' + cspNonce.toString()].join(' '))
  })
  const values = (await ask(await listen(t, app))).body.split(' ')
  t.equal(values.length, 5)
  t.equal(new Set(values).size, 1)
})

test('a scope can be without headers, and its routes can have them', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { xFrameOptions: 'SAMEORIGIN' })
  await app.register(async child => {
    await child.register(secureHeaders, { enabled: false })
    child.get('/off', page)
    child.get('/on', { secureHeaders: {} }, page)
  })
  const port = await listen(t, app)
  t.match((await ask(port, '/off')).headers, only({}))
  t.match((await ask(port, '/on')).headers, only({ ...DOCUMENT, 'x-frame-options': 'SAMEORIGIN' }))
})
