import cookie from '@fastify/cookie'
import fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import secureSession, { generateKey } from '@fastkeep/secure-session'
import { Browser, httpApp, httpsApp, key, overHttps } from './https-app.ts'

const warnings = (log: ReadonlyArray<{ level: number }>) => log.filter(line => line.level >= 40)

function writes (app: FastifyInstance): void {
  app.get('/', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => ({ user: session.user }))
}

test('the cookie is __Host-, Secure, HttpOnly, SameSite=Lax, for every path and until the browser closes', overHttps, async t => {
  const { app } = await httpsApp(t)
  writes(app)
  const { setCookie } = await (await Browser.of(t, app)).fetch('/')
  t.equal(setCookie.length, 1)
  t.match(setCookie[0], /^__Host-session=[A-Za-z0-9_-]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
})

test('cookieName and sameSite change just that', overHttps, async t => {
  const { app } = await httpsApp(t, { keys: [key], cookieName: 'sid', sameSite: 'strict' })
  writes(app)
  const { setCookie } = await (await Browser.of(t, app)).fetch('/')
  t.match(setCookie[0], /^__Host-sid=[A-Za-z0-9_-]+; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
})

test('no cookie is sent for a session that is not used, only read, or as it was before', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/untouched', async () => '')
  app.get('/read', async ({ session }) => ({ user: session.user, id: session.id }))
  app.get('/back', async ({ session }) => { session.user = 'ada'; delete session.user; return '' })
  app.get('/write', async ({ session }) => { session.user = 'ada'; return '' })
  const browser = await Browser.of(t, app)
  for (const path of ['/untouched', '/read', '/back']) t.same((await browser.fetch(path)).setCookie, [], path)
  await browser.fetch('/write')
  for (const path of ['/untouched', '/read', '/write']) t.same((await browser.fetch(path)).setCookie, [], `${path} with a session`)
})

test('the application\'s defaults for cookies do not reach ours, nor ours its own cookies', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(cookie, { parseOptions: { domain: 'example.com', path: '/shop' } })
  await app.register(secureSession, { keys: [key], development: true })
  app.get('/', async ({ session }, reply) => {
    reply.setCookie('theme', 'dark')
    session.user = 'ada'
    return ''
  })
  const { setCookie } = await (await Browser.of(t, app)).fetch('/')
  t.equal(setCookie.length, 2)
  t.match(setCookie.find(line => line.startsWith('session=')), /^session=[A-Za-z0-9_-]+; Path=\/; HttpOnly; SameSite=Lax$/)
  t.match(setCookie.find(line => line.startsWith('theme=')), /Domain=example\.com; Path=\/shop/)
})

test('@fastify/cookie goes beside it, registered before or after', async t => {
  for (const order of [[cookie, secureSession], [secureSession, cookie]]) {
    const app = fastify()
    t.teardown(() => app.close())
    for (const plugin of order) await app.register(plugin as typeof secureSession, plugin === cookie ? {} : { keys: [key], development: true })
    app.get('/', async ({ session, cookies }, reply) => {
      session.visits = (session.visits ?? 0) + 1
      reply.setCookie('seen', 'yes')
      return `${cookies.theme} ${session.visits}`
    })
    const browser = await Browser.of(t, app)
    browser.cookies.set('theme', 'dark')
    await browser.fetch('/')
    const { body, setCookie } = await browser.fetch('/')
    t.equal(body, 'dark 2')
    t.same(setCookie.map(line => line.split('=')[0]).toSorted(), ['seen', 'session'])
  }
})

test('of a Cookie header only what is named like the session counts, and of two the first', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(secureSession, { keys: [key], development: true })
  app.get('/login', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/', async ({ session }) => session.user ?? 'nobody')
  const browser = await Browser.of(t, app)
  await browser.fetch('/login')
  const pair = `session=${browser.cookies.get('session')}`
  browser.cookies.clear()
  const userOf = async (header: string): Promise<string> => (await browser.fetch('/', 'GET', { cookie: header })).body
  for (const header of [pair, `a=1; ${pair}`, `a=1;${pair};b=2`, `mysession=1; ${pair}`, `a=session=1; ${pair}`, `${pair}; session=other`, `a; ${pair}`]) t.equal(await userOf(header), 'ada', header)
  for (const header of [`my${pair}`, `a ${pair}`, `a=${pair}`, `"${pair}"`, `session=; ${pair}`, 'session =1', '']) t.equal(await userOf(header), 'nobody', header)
})

test('a cookie of 4096 bytes is sent, one of more is an error of status 500, and nothing is sent', overHttps, async t => {
  const { app, log } = await httpsApp(t)
  app.get('/:length', async request => {
    request.session.note = 'x'.repeat(Number((request.params as { length: string }).length))
    return 'handled'
  })
  const browser = await Browser.of(t, app)
  const send = async (length: number) => {
    browser.cookies.clear()
    return browser.fetch(`/${length}`)
  }
  // Name and value grow by 4 characters for each 3 bytes: find the last length that is sent.
  const { setCookie: [shortest = ''] } = await send(1)
  const overhead = shortest.indexOf(';') - '='.length
  let length = 1 + Math.floor((4096 - overhead) / 4) * 3
  while ((await send(length + 1)).statusCode === 200) length++
  const largest = await send(length)
  const size = largest.setCookie[0]!.indexOf(';') - 1
  t.ok(size <= 4096 && size > 4092, `the largest has ${size} bytes`)

  const answer = await send(length + 1)
  t.equal(answer.statusCode, 500)
  t.same(answer.setCookie, [])
  t.match(JSON.parse(answer.body), { code: 'FST_KEEP_SECURE_SESSION_TOO_LARGE', message: /would have 409[789] bytes .*limit is 4096/ })
  t.match(log.find(line => line.msg.includes('would have')), { err: { size: Number, limit: 4096 } })
})

test('over plain HTTP the Secure cookie is not sent, with one warning that names trustProxy', async t => {
  const { app, log } = await httpApp(t)
  writes(app)
  const browser = await Browser.of(t, app)
  for (let round = 0; round < 3; round++) t.same((await browser.fetch('/')).setCookie, [])
  const lines = log.filter(line => line.code === 'FST_KEEP_SECURE_SESSION_INSECURE_TRANSPORT')
  t.same(lines.map(line => line.level), [40, 20, 20])
  t.match(lines[0]!.msg, /not sent.*trustProxy.*development/)
})

test('behind a trusted proxy that says https the cookie is sent', async t => {
  const { app, log } = await httpApp(t, { keys: [key] }, true)
  writes(app)
  const browser = await Browser.of(t, app)
  t.match((await browser.fetch('/', 'GET', { 'x-forwarded-proto': 'https' })).setCookie[0], /^__Host-session=.*Secure/)
  t.same(warnings(log), [])
})

test('X-Forwarded-Proto of anybody else changes nothing', async t => {
  const { app } = await httpApp(t)
  writes(app)
  t.same((await (await Browser.of(t, app)).fetch('/', 'GET', { 'x-forwarded-proto': 'https' })).setCookie, [])
})

test('in development the session works over plain HTTP without a key, and a warning says at what price', async t => {
  const { app, log } = await httpApp(t, { development: true })
  writes(app)
  const browser = await Browser.of(t, app)
  t.match((await browser.fetch('/')).setCookie, [/^session=[A-Za-z0-9_-]+; Path=\/; HttpOnly; SameSite=Lax$/])
  t.same(JSON.parse((await browser.fetch('/read')).body), { user: 'ada' })
  t.match(warnings(log), [{ code: 'FST_KEEP_SECURE_SESSION_DEVELOPMENT', msg: /neither Secure nor a prefix.*key was made for this process/ }])
})

test('in development each process has a key of its own, unless one is given', async t => {
  const readAfterRestart = async (options: { keys?: string[], development: true }) => {
    const [first, second] = [(await httpApp(t, options)).app, (await httpApp(t, options)).app]
    writes(first)
    writes(second)
    const before = await Browser.of(t, first)
    const after = await Browser.of(t, second)
    await before.fetch('/')
    after.cookies.set('session', before.cookies.get('session')!)
    return JSON.parse((await after.fetch('/read')).body)
  }
  t.same(await readAfterRestart({ development: true }), {})
  t.same(await readAfterRestart({ development: true, keys: [generateKey()] }), { user: 'ada' })
})
