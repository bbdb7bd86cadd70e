import { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { generateKey, MemoryStore, requireRecentLogin, type SecureSessionOptions } from '@fastkeep/secure-session'
import { agedCookie } from './cookies.ts'
import { Browser, httpApp, httpsApp, key, overHttps } from './https-app.ts'
import { STORES } from './stores.ts'

const development = { keys: [key], development: true, csrf: false } as const

function routes (app: FastifyInstance): void {
  app.get('/cart', async ({ session }) => { session.cart = { items: ['tea'] }; session.note = 'planted'; return session.id })
  app.get('/login/:subject', async ({ session, params }) => { session.login((params as { subject: string }).subject, ['cart']); session.user = 'ada'; return session.id })
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  app.get('/regenerate', async ({ session }) => { session.regenerate(['user']); return session.id })
  app.get('/set', async ({ session }) => { session.note = 1; return '' })
  app.get('/forget', async ({ session }) => { delete session.user; session.regenerate(); return '' })
  app.get('/state', async ({ session }) => ({ id: session.id, isNew: session.isNew, subject: session.subject, data: session.data() }))
  app.get('/list/:subject', async request => await app.sessions.list((request.params as { subject: string }).subject))
  app.get('/everywhere/:subject', async request => await app.sessions.destroyAll((request.params as { subject: string }).subject))
}

async function browserOf (t: Test, options: SecureSessionOptions): Promise<Browser> {
  const { app } = await httpApp(t, options)
  routes(app)
  return Browser.of(t, app)
}

async function state (browser: Browser): Promise<{ id: string, isNew: boolean, subject?: string, data: object }> {
  return JSON.parse((await browser.fetch('/state')).body)
}

/** Another visitor of the same server, with the cookies that this one has now. */
function copyOf (browser: Browser): Browser {
  const copy = new Browser(browser.origin)
  for (const [name, value] of browser.cookies) copy.cookies.set(name, value)
  return copy
}

for (const { name, skip, make } of [...STORES, { name: 'sealed cookie', skip: false as const, make: async () => undefined }]) {
  test(`${name}: login() gives another id, records the subject, keeps what it is told to, and ends the former cookie at once`, { skip }, async t => {
    const store = await make(t)
    const browser = await browserOf(t, { ...development, ...store && { store } })
    const before = (await browser.fetch('/cart')).body
    const planted = copyOf(browser)
    const after = (await browser.fetch('/login/ada')).body
    t.not(after, before)
    t.match(await state(browser), { id: after, isNew: false, subject: 'ada', data: { cart: { items: ['tea'] }, user: 'ada', note: undefined } })
    t.match(await state(planted), { isNew: true, data: {} })
  })

  test(`${name}: the cookie of before the logout is refused after it`, { skip }, async t => {
    const store = await make(t)
    const browser = await browserOf(t, { ...development, ...store && { store } })
    await browser.fetch('/login/ada')
    const copied = copyOf(browser)
    await browser.fetch('/logout')
    t.equal(browser.cookies.size, 0)
    t.match(await state(copied), { isNew: true, data: {} })
    await copied.fetch('/set')
    t.match(await state(copied), { isNew: false, subject: undefined, data: { note: 1 } }, 'it goes on as a stranger')
  })

  test(`${name}: regenerate() keeps who has logged in, and what was removed before it is not there for the old id either`, { skip }, async t => {
    const store = await make(t)
    const browser = await browserOf(t, { ...development, ...store && { store } })
    await browser.fetch('/login/ada')
    await browser.fetch('/regenerate')
    t.match(await state(browser), { isNew: false, subject: 'ada', data: { user: 'ada' } })
    const copied = copyOf(browser)
    await browser.fetch('/forget')
    t.same((await state(copied)).data, {})
  })
}

for (const { name, skip, make } of STORES) {
  test(`${name}: a subject's sessions are listed and ended`, { skip }, async t => {
    const browser = await browserOf(t, { ...development, store: await make(t) })
    const [laptop, phone, other] = [new Browser(browser.origin), new Browser(browser.origin), new Browser(browser.origin)]
    for (const [one, subject] of [[laptop, 'ada'], [phone, 'ada'], [other, 'bob']] as const) await one.fetch(`/login/${subject}`)
    const listed = JSON.parse((await browser.fetch('/list/ada')).body) as object[]
    t.match(listed, [{ subject: 'ada', handle: String, createdAt: Number, authenticatedAt: Number }, { subject: 'ada' }])
    t.equal(listed.length, 2)
    t.notMatch(JSON.stringify(listed), (await state(laptop)).id)
    t.equal((await browser.fetch('/everywhere/ada')).body, '2')
    for (const one of [laptop, phone]) t.match(await state(one), { isNew: true })
    t.match(await state(other), { isNew: false, subject: 'bob' })
  })

  test(`${name}: over maxPerSubject a login ends the session that was unused for longest`, { skip }, async t => {
    const browser = await browserOf(t, { ...development, store: await make(t), maxPerSubject: 2 })
    const visitors = Array.from({ length: 5 }, () => new Browser(browser.origin))
    for (const visitor of visitors) await visitor.fetch('/login/ada')
    const alive = await Promise.all(visitors.map(async visitor => !(await state(visitor)).isNew))
    t.equal(alive.filter(isAlive => isAlive).length, 2)
    t.equal(alive.at(-1), true)
  })
}

test('one session of a subject is ended by its handle', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  routes(app)
  const browser = await Browser.of(t, app)
  await browser.fetch('/login/ada')
  const { handle } = (await app.sessions.list('ada'))[0]!
  t.equal(await app.sessions.destroy(handle), true)
  t.equal(await app.sessions.destroy(handle), false)
  t.match(await state(browser), { isNew: true })
})

test('a login outlives the end of the session that it came with: "end all others, and stay"', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  routes(app)
  app.get('/password', async ({ session }) => {
    const subject = session.subject!
    await app.sessions.destroyAll(subject)
    session.login(subject, ['user'])
    return ''
  })
  const browser = await Browser.of(t, app)
  const other = new Browser(browser.origin)
  for (const one of [browser, other]) await one.fetch('/login/ada')
  await browser.fetch('/password')
  t.match(await state(browser), { isNew: false, subject: 'ada', data: { user: 'ada' } })
  t.match(await state(other), { isNew: true })
})

test('sealed cookies can be neither listed nor counted, and say so', async t => {
  const { app } = await httpApp(t, development)
  await t.rejects(app.sessions.list('ada'), { code: 'FST_KEEP_SECURE_SESSION_NEEDS_STORE' })
  await t.rejects(app.sessions.destroyAll('ada'), { code: 'FST_KEEP_SECURE_SESSION_NEEDS_STORE', message: /notBefore/ })
  await t.rejects(httpApp(t, { ...development, maxPerSubject: 1 }), { code: 'FST_KEEP_SECURE_SESSION_NEEDS_STORE', exitCode: 78 })
})

test('login() takes a subject of 1 to 256 characters', async t => {
  const { app } = await httpApp(t, development)
  app.get('/', async ({ session }) => {
    for (const subject of ['', 'x'.repeat(257), 7]) t.throws(() => session.login(subject as string), { code: 'FST_KEEP_SECURE_SESSION_SUBJECT_INVALID' })
    return ''
  })
  t.equal((await app.inject('/')).statusCode, 200)
})

test('notBefore ends the sealed sessions of a subject that began earlier, and no others', overHttps, async t => {
  const begins = new Map<string, number>()
  const { app } = await httpsApp(t, { keys: [key], notBefore: async subject => begins.get(subject), csrf: false })
  routes(app)
  const browser = await Browser.of(t, app)
  browser.session = agedCookie(100, 10, { subject: 'ada' })
  t.match(await state(browser), { subject: 'ada' })
  begins.set('ada', Date.now() / 1000)
  t.match(await state(browser), { isNew: true })
  await browser.fetch('/login/ada')
  t.match(await state(browser), { isNew: false, subject: 'ada' }, 'a login of after that counts')
  browser.session = agedCookie(100, 10, { subject: 'bob' })
  t.match(await state(browser), { subject: 'bob' })
})

test('requireRecentLogin lets pass who has just logged in, and nobody else', overHttps, async t => {
  const { app } = await httpsApp(t, { keys: [key], csrf: false })
  routes(app)
  app.get('/secret', { onRequest: requireRecentLogin(300) }, async () => 'secret')
  const browser = await Browser.of(t, app)
  const refused = await browser.fetch('/secret')
  t.match(refused, { statusCode: 401 })
  t.match(JSON.parse(refused.body), { code: 'FST_KEEP_SECURE_SESSION_RECENT_LOGIN_REQUIRED', message: /300 seconds/ })
  await browser.fetch('/login/ada')
  t.match(await browser.fetch('/secret'), { statusCode: 200, body: 'secret' })
  browser.session = agedCookie(301, 10, { subject: 'ada' })
  t.equal((await browser.fetch('/secret')).statusCode, 401)
  t.throws(() => requireRecentLogin(0), TypeError)
})

test('a logout tells the browser what to clear, where that is asked for', async t => {
  const quiet = await browserOf(t, development)
  const thorough = await browserOf(t, { ...development, clearSiteData: true })
  const chosen = await browserOf(t, { ...development, clearSiteData: ['storage'] })
  for (const [browser, expected] of [[quiet, undefined], [thorough, '"cache", "cookies", "storage"'], [chosen, '"storage"']] as const) {
    await browser.fetch('/set')
    t.equal((await browser.fetch('/set')).headers['clear-site-data'], undefined)
    t.equal((await browser.fetch('/logout')).headers['clear-site-data'], expected)
  }
})

test('several processes that share a revocation refuse the cookie of a session that one of them has ended', { skip: STORES[2]!.skip }, async t => {
  const { LmdbStore } = await import('@fastkeep/secure-session/lmdb')
  const { RedisStore } = await import('@fastkeep/secure-session/redis')
  const { RedisServer } = await import('./redis-server.ts')
  const path = t.testdir()
  const redis = await RedisServer.start(t)
  const revocations = {
    lmdb: async () => new LmdbStore({ path }).revocation,
    redis: async () => new RedisStore({ client: await redis.readyClient(t) }).revocation,
  }
  for (const [name, revocation] of Object.entries(revocations)) {
    const keys = [generateKey()]
    const first = await browserOf(t, { ...development, keys, revocation: await revocation() })
    const second = await browserOf(t, { ...development, keys, revocation: await revocation() })
    await first.fetch('/login/ada')
    second.cookies.set('session', first.cookies.get('session')!)
    t.match(await state(second), { isNew: false, subject: 'ada' }, name)
    await first.fetch('/logout')
    t.match(await state(second), { isNew: true }, name)
  }
})
