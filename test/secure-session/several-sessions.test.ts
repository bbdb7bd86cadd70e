import { inspect } from 'node:util'
import fastify, { type FastifyRequest } from 'fastify'
import { test } from 'tap'
import secureSession, { MemoryStore, type Session, type StoredSession } from '@fastkeep/secure-session'
import { Browser, httpApp, key } from './https-app.ts'

const development = { keys: [key], development: true } as const
const adminOf = (request: FastifyRequest): Session => request.getDecorator<Session>('admin')

test('an application has several sessions by name, each with its cookie, its route option and its policy', async t => {
  const { app } = await httpApp(t, development)
  await app.register(secureSession, { ...development, name: 'admin', store: new MemoryStore(), idleTimeout: 60 })
  app.get('/both', async request => { request.session.user = 'ada'; adminOf(request).user = 'root'; return '' })
  app.get('/read', async request => [request.session.user, adminOf(request).user])
  app.get('/off', { admin: false } as object, async request => adminOf(request).user)
  const browser = await Browser.of(t, app)
  await browser.fetch('/both')
  t.same([...browser.cookies.keys()].toSorted(), ['admin', 'session'])
  t.equal((await browser.fetch('/read')).body, '["ada","root"]')
  t.match(JSON.parse((await browser.fetch('/off')).body), { code: 'FST_KEEP_SECURE_SESSION_ROUTE_OFF', message: /"admin: false"/ })
  t.match([app.sessions.describe(), app.getDecorator<typeof app.sessions>('adminSessions').describe()], [
    { name: 'session', mode: 'sealed cookie', idleTimeout: 1800 },
    { name: 'admin', mode: 'store', idleTimeout: 60 },
  ])
})

test('the cookie of one session is refused as another\'s, in both modes', async t => {
  for (const more of [{}, { store: new MemoryStore() }]) {
    const { app } = await httpApp(t, { ...development, ...more })
    await app.register(secureSession, { ...development, ...more, name: 'admin' })
    app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
    app.get('/admin', async request => ({ isNew: adminOf(request).isNew }))
    const browser = await Browser.of(t, app)
    await browser.fetch('/begin')
    browser.cookies.set('admin', browser.cookies.get('session')!)
    t.equal((await browser.fetch('/admin')).body, '{"isNew":true}')
  }
})

test('a cookie that holds a session is refused where it is to hold an id, and the other way round', async t => {
  const kinds = await Promise.all([{}, { store: new MemoryStore() }].map(async more => {
    const { app } = await httpApp(t, { ...development, ...more })
    app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
    app.get('/read', async ({ session }) => ({ isNew: session.isNew }))
    const browser = await Browser.of(t, app)
    await browser.fetch('/begin')
    return browser
  }))
  const [sealed, stored] = kinds as [Browser, Browser]
  const value = sealed.cookies.get('session')!
  sealed.cookies.set('session', stored.cookies.get('session')!)
  stored.cookies.set('session', value)
  for (const browser of kinds) t.equal((await browser.fetch('/read')).body, '{"isNew":true}')
})

test('a lazy route loads nothing until it is asked to', async t => {
  let reads = 0
  class CountingStore extends MemoryStore {
    override async read (...args: Parameters<MemoryStore['read']>): Promise<StoredSession | undefined> {
      reads++
      return await super.read(...args)
    }
  }
  const { app } = await httpApp(t, { ...development, store: new CountingStore() })
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/static', { session: 'lazy' }, async () => 'file')
  app.get('/off', { session: false }, async () => 'file')
  app.get('/early', { session: { lazy: true } }, async ({ session }) => session.user)
  app.get('/lazy', { session: 'lazy' }, async ({ session }) => {
    t.equal(await (async () => session)(), session, 'and can be awaited itself')
    t.equal(inspect(session), 'not loaded')
    await session.load()
    await session.load()
    t.equal(inspect(session), '{ user: \'ada\' }')
    session.visits = 1
    return session.user
  })
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  await browser.fetch('/static')
  await browser.fetch('/off')
  t.match(JSON.parse((await browser.fetch('/early')).body), { code: 'FST_KEEP_SECURE_SESSION_NOT_LOADED', message: /await request\.session\.load\(\)/ })
  t.equal(reads, 0)
  t.equal((await browser.fetch('/lazy')).body, 'ada')
  t.equal(reads, 1)
  t.match(app.sessions.describe({ method: 'GET', url: '/lazy' }), { route: 'loaded by load()' })
  t.match(app.sessions.describe({ method: 'get', url: '/begin' }), { route: 'loaded before the handler' })
  t.match(app.sessions.describe({ method: 'GET', url: '/off' }), { route: 'off' })
})

test('a lazy route without a cookie has a new session at once', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  app.get('/', { session: 'lazy' }, async ({ session }) => { session.user = 'ada'; return '' })
  t.equal((await (await Browser.of(t, app)).fetch('/')).setCookie.length, 1)
})

test('describe() says what holds', async t => {
  const { app } = await httpApp(t, { ...development, csrf: { origins: ['https://a.example'], requireToken: true } })
  t.match(app.sessions.describe(), {
    name: 'session',
    mode: 'sealed cookie',
    cookie: 'session=; Path=/; HttpOnly; SameSite=Lax',
    idleTimeout: 1800,
    absoluteTimeout: 43200,
    renewAfter: 900,
    keys: 1,
    revocation: /^this process only: /,
    concurrency: /later one/,
    maxPerSubject: 'any number',
    csrf: /https:\/\/a\.example; a token/,
  })
  const stored = await httpApp(t, { ...development, store: new MemoryStore(), maxPerSubject: 3 })
  t.match(stored.app.sessions.describe(), { mode: 'store', revocation: /in the store/, maxPerSubject: 3 })
  const shared = await httpApp(t, { ...development, revocation: { isEnded: () => false, end: () => {} } })
  t.match(shared.app.sessions.describe(), { revocation: 'for all who share the "revocation"' })
})

test('a cookie belongs to one registration: another in the same scope or within it is refused, in a scope beside it is not', async t => {
  const TAKEN = { code: 'FST_KEEP_SECURE_SESSION_COOKIE_TAKEN', message: /"session"/, exitCode: 78 }
  const { app } = await httpApp(t, development)
  await t.rejects(async () => { await app.register(secureSession, { ...development, name: 'admin', cookieName: 'session' }) }, TAKEN)
  const { app: nested } = await httpApp(t, development)
  await t.rejects(async () => { await nested.register(async scope => { await scope.register(secureSession, development) }) }, TAKEN)
  const beside = fastify()
  t.teardown(() => beside.close())
  for (const prefix of ['/one', '/two']) {
    await beside.register(async scope => {
      await scope.register(secureSession, development)
      scope.get('/', async ({ session }) => { session.user = prefix; return session.user })
    }, { prefix })
  }
  t.equal((await beside.inject('/two')).body, '/two')
})

test('a name that Fastify uses otherwise is refused', async t => {
  const taken = new Set(['cookies', 'onRequest', 'preHandler', 'websocket', 'secureHeaders', 'constructor', '__proto__'])
  const app = fastify()
  app.addHook('onRoute', route => { for (const name of Object.keys(route)) taken.add(name) })
  app.get('/', async request => {
    for (let object: unknown = request; object !== Object.prototype; object = Object.getPrototypeOf(object)) {
      for (const name of Object.getOwnPropertyNames(object)) taken.add(name)
    }
    return ''
  })
  t.equal((await app.inject('/')).statusCode, 200)
  for (const name of taken) await t.rejects(httpApp(t, { ...development, name }), { code: 'FST_KEEP_SECURE_SESSION_OPTION_INVALID', message: /"name"/ }, name)
})
