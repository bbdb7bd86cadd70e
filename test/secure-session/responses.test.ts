import { Readable } from 'node:stream'
import cookie from '@fastify/cookie'
import fastify from 'fastify'
import { test } from 'tap'
import secureSession from '@fastkeep/secure-session'
import { Browser, httpsApp, key, overHttps } from './https-app.ts'

test('the session is written with redirects, errors, 204, HEAD, streams and answers of hooks', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.addHook('preHandler', async ({ session, url }, reply) => {
    session.note = url
    if (url === '/hook') return reply.code(401).send('')
  })
  app.get('/redirect', async (_request, reply) => reply.redirect('/elsewhere'))
  app.get('/error', async () => { throw new Error('oh') })
  app.get('/empty', async (_request, reply) => reply.code(204).send())
  app.get('/head', async () => 'body')
  app.get('/stream', async (_request, reply) => reply.send(Readable.from(['a', 'b'])))
  app.get('/hook', async () => 'never')
  app.get('/read', async ({ session }) => session.note)
  const browser = await Browser.of(t, app)
  const expected: Array<['GET' | 'HEAD', string, number]> = [
    ['GET', '/redirect', 302], ['GET', '/error', 500], ['GET', '/empty', 204], ['HEAD', '/head', 200], ['GET', '/stream', 200],
    ['GET', '/hook', 401], ['GET', '/nowhere', 404],
  ]
  for (const [method, path, statusCode] of expected) {
    const answer = await browser.fetch(path, method)
    t.match(answer, { statusCode, setCookie: [/^__Host-session=/] }, path)
  }
})

test('a hook that runs before those of the plugin has the session of the request\'s cookie', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => { request.session.visits = (request.session.visits ?? 0) + 1 })
  await app.register(secureSession, { keys: [key], development: true })
  app.get('/', async ({ session }) => session.visits)
  const browser = await Browser.of(t, app)
  t.same([(await browser.fetch('/')).body, (await browser.fetch('/')).body], ['1', '2'])
})

test('the error handler can change the session', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.setErrorHandler(async (error: Error, { session }, reply) => {
    session.note = error.message
    return reply.code(400).send('')
  })
  app.get('/error', async () => { throw new Error('oh') })
  app.get('/read', async ({ session }) => session.note)
  const browser = await Browser.of(t, app)
  await browser.fetch('/error')
  t.equal((await browser.fetch('/read')).body, 'oh')
})

test('when a later onSend hook fails, the error handler can still change the session, and one cookie is sent', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.addHook('onSend', async ({ url }, reply) => { if (url === '/late' && reply.statusCode === 200) throw new Error('late') })
  app.setErrorHandler(async (error: Error, { session }, reply) => {
    session.note = error.message
    return reply.header('set-cookie', 'theme=dark').code(500).send('')
  })
  app.get('/late', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  const { statusCode, setCookie } = await browser.fetch('/late')
  t.equal(statusCode, 500)
  t.match(setCookie, [/^theme=/, /^__Host-session=/])
  t.equal(setCookie.length, 2)
  t.same(JSON.parse((await browser.fetch('/read')).body), { user: 'ada', note: 'late' })
})

test('a change in an onSend hook that runs after the cookie is decided is refused', overHttps, async t => {
  const { app } = await httpsApp(t)
  let code: unknown
  app.addHook('onSend', async ({ session }) => {
    try {
      session.user = 'too late'
    } catch (error) {
      code = (error as { code: string }).code
    }
  })
  app.get('/', async () => '')
  const answer = await (await Browser.of(t, app)).fetch('/')
  t.equal(code, 'FST_KEEP_SECURE_SESSION_ALREADY_SENT')
  t.same(answer.setCookie, [])
})

test('a change while the body streams, in a hijacked reply, or after a head written by hand is refused', overHttps, async t => {
  const { app } = await httpsApp(t)
  const codes: unknown[] = []
  const attempt = (change: () => void): void => {
    try {
      change()
    } catch (error) {
      codes.push((error as { code: string }).code)
    }
  }
  app.get('/stream', async (request, reply) => reply.send(Readable.from((async function * () {
    attempt(() => { request.session.user = 'ada' })
    yield 'a'
  })())))
  app.get('/hijack', (request, reply) => {
    reply.hijack()
    attempt(() => { request.session.user = 'ada' })
    attempt(() => request.session.destroy())
    reply.raw.end('raw')
  })
  app.get('/raw', (request, reply) => {
    reply.raw.writeHead(200)
    attempt(() => { request.session.user = 'ada' })
    reply.raw.end('raw')
  })
  const browser = await Browser.of(t, app)
  for (const path of ['/stream', '/hijack', '/raw']) await browser.fetch(path)
  t.same(codes, Array(4).fill('FST_KEEP_SECURE_SESSION_ALREADY_SENT'))
  t.equal(browser.cookies.size, 0)
})

test('what JSON cannot carry deep inside of a value gives 500, leaves the old cookie, and names the field', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.cart = { items: ['tea'] }; return '' })
  app.get('/spoil', async ({ session }) => { session.cart?.items.push(new Date() as unknown as string); return '' })
  app.get('/hide', async ({ session }) => { Object.assign(session.cart!, { total: () => 1 }); return '' })
  app.get('/read', async ({ session }) => session.cart?.items)
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  for (const [path, field] of [['/spoil', 'cart\\.items\\[1\\]'], ['/hide', 'cart\\.total']] as const) {
    const answer = await browser.fetch(path)
    t.match(answer, { statusCode: 500, setCookie: { length: 0 } })
    t.match(JSON.parse(answer.body), { code: 'FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON', message: new RegExp(`"${field}"`) })
  }
  t.same(JSON.parse((await browser.fetch('/read')).body), ['tea'])
})

test('after a cookie that could not be written the error page is sent, and cannot change the session', overHttps, async t => {
  const { app } = await httpsApp(t)
  let code: unknown
  app.setErrorHandler(async (_error, { session }, reply) => {
    try {
      session.user = 'ada'
    } catch (error) {
      code = (error as { code: string }).code
    }
    return reply.code(500).send('our own page')
  })
  app.get('/', async ({ session }) => { session.note = 'x'.repeat(4000); return '' })
  const answer = await (await Browser.of(t, app)).fetch('/')
  t.match(answer, { statusCode: 500, body: 'our own page', setCookie: { length: 0 } })
  t.equal(code, 'FST_KEEP_SECURE_SESSION_ALREADY_SENT')
})

test('data that fits into no cookie is refused when it is set', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.post('/', async request => { request.session.note = request.body; return 'handled' })
  const bodies = [['['.repeat(5000) + ']'.repeat(5000), 'VALUE_NOT_JSON'], [JSON.stringify(Array(100_000).fill([])), 'TOO_LARGE']] as const
  for (const [body, code] of bodies) {
    const answer = await app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'application/json' }, payload: body })
    t.match(answer, { statusCode: 500, headers: { 'set-cookie': undefined } })
    t.match(answer.json(), { code: `FST_KEEP_SECURE_SESSION_${code}` })
  }
})

test('when a later onSend hook fails and the error handler ends a session that came without a cookie, none is sent', overHttps, async t => {
  const { app } = await httpsApp(t)
  await app.register(cookie)
  app.addHook('onSend', async (_request, reply) => { if (reply.statusCode === 200) throw new Error('late') })
  app.setErrorHandler(async (_error, { session }, reply) => {
    session.destroy()
    return reply.code(500).send('')
  })
  app.get('/late', async ({ session }, reply) => { session.user = 'ada'; reply.setCookie('theme', 'dark'); return '' })
  const { statusCode, setCookie } = await (await Browser.of(t, app)).fetch('/late')
  t.equal(statusCode, 500)
  t.match(setCookie, [/^theme=/])
  t.equal(setCookie.length, 1)
})
