import { type FastifyInstance } from 'fastify'
import { setImmediate } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { MemoryStore, type SecureSessionOptions, type SessionStore, type StoredSession } from '@fastkeep/secure-session'
import { RedisStore } from '@fastkeep/secure-session/redis'
import { Browser, httpApp, key, type LogLine } from './https-app.ts'
import { RedisServer, withRedis } from './redis-server.ts'

const UNAVAILABLE = 'FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE'

async function started (t: Test, store: SessionStore, more: SecureSessionOptions = {}): Promise<{ app: FastifyInstance, browser: Browser, log: LogLine[] }> {
  const { app, log } = await httpApp(t, { keys: [key], development: true, csrf: false, store, storeTimeout: 300, ...more })
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => ({ user: session.user, isNew: session.isNew, visits: session.visits }))
  app.get('/write/:n', async ({ session, params }) => { session.visits = Number((params as { n: string }).n); return '' })
  app.get('/update', async ({ session }) => { await session.update(data => { data.visits = 1 }); return '' })
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  app.get('/without', { session: false }, async () => 'fine')
  return { app, browser: await Browser.of(t, app), log }
}

async function refuses (t: Test, browser: Browser, path: string, name: string): Promise<void> {
  const answer = await browser.fetch(path)
  t.match(answer, { statusCode: 503, setCookie: { length: 0 } }, `${name}: ${path}`)
  t.match(JSON.parse(answer.body), { code: UNAVAILABLE })
}

/** A store whose methods can be replaced by others. */
class BreakableStore extends MemoryStore {}

test('a Redis that is gone gives 503 and never a new session, and when it is back all are as they were', withRedis, async t => {
  const server = await RedisServer.start(t)
  const { browser } = await started(t, new RedisStore({ client: await server.readyClient(t) }))
  await browser.fetch('/begin')
  await server.stop()
  for (const path of ['/read', '/write/1', '/update', '/logout']) await refuses(t, browser, path, 'gone')
  t.equal((await browser.fetch('/without')).body, 'fine')
  await server.start()
  const back = performance.now()
  while ((await browser.fetch('/read')).statusCode === 503) t.ok(performance.now() - back < 2000, 'back within 2 s')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}')
})

test('a Redis that hangs gives 503 within the deadline', withRedis, async t => {
  const server = await RedisServer.start(t)
  const { browser } = await started(t, new RedisStore({ client: await server.readyClient(t) }))
  await browser.fetch('/begin')
  server.pause()
  await refuses(t, browser, '/read', 'hangs')
  server.resume()
  while ((await browser.fetch('/read')).statusCode === 503);
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}')
})

test('a Redis stopped or killed under load and started again loses no session that it has kept, and no acknowledged write', withRedis, async t => {
  const server = await RedisServer.start(t)
  const { browser } = await started(t, new RedisStore({ client: await server.readyClient(t) }))
  const visitors = Array.from({ length: 20 }, () => ({ browser: new Browser(browser.origin), acknowledged: 0 }))
  for (const visitor of visitors) await visitor.browser.fetch('/begin')
  const over = new AbortController()
  let answers = new Map<number, number>()
  const load = visitors.map(async visitor => {
    for (let n = 1; !over.signal.aborted; n++) {
      const { statusCode } = await visitor.browser.fetch(`/write/${n}`)
      answers.set(statusCode, (answers.get(statusCode) ?? 0) + 1)
      if (statusCode === 200) visitor.acknowledged = n
    }
  })
  const afterMore = async (statusCode: number): Promise<void> => {
    answers = new Map()
    while ((answers.get(statusCode) ?? 0) < 100) await setImmediate()
  }
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await afterMore(200)
    await server.stop(signal)
    await afterMore(503)
    await server.start()
    const back = performance.now()
    await afterMore(200)
    t.ok(performance.now() - back < 2000, 'all is well within 2 s')
  }
  over.abort()
  await Promise.all(load)
  for (const visitor of visitors) {
    const { visits, ...others } = JSON.parse((await visitor.browser.fetch('/read')).body) as { visits: number }
    t.same(others, { user: 'ada', isNew: false })
    // One that was answered by 503 may have been carried out all the same.
    t.ok(visitor.acknowledged > 0 && visits >= visitor.acknowledged, `${visitor.acknowledged} was acknowledged and ${visits} is there`)
  }
  t.same([...answers.keys()].filter(statusCode => statusCode !== 200 && statusCode !== 503), [])
})

test('a store that fails, hangs, throws or answers garbage gives 503, and what it says is in the log only', async t => {
  const never = async (): Promise<never> => await new Promise(() => {})
  const answers: Record<string, () => unknown> = {
    rejects: async () => { throw new Error('password "hunter2" refused by db.internal') },
    throws: () => { throw new Error('oh') },
    hangs: never,
    null: async () => null,
    text: async () => 'text',
    'no data': async () => ({ version: 1, createdAt: 1, renewedAt: 1 }),
    'data that is no JSON': async () => ({ version: 1, createdAt: 1, renewedAt: 1, data: '{' } satisfies StoredSession),
    'data that is no object': async () => ({ version: 1, createdAt: 1, renewedAt: 1, data: '[]' } satisfies StoredSession),
    'a time that is none': async () => ({ version: 1, createdAt: NaN, renewedAt: 1, data: '{}' } satisfies StoredSession),
  }
  for (const [name, answer] of Object.entries(answers)) {
    const store = new BreakableStore()
    const { browser, log } = await started(t, store, { storeTimeout: 50 })
    await browser.fetch('/begin')
    const { read } = store
    Object.assign(store, { read: answer })
    await refuses(t, browser, '/read', name)
    if (name === 'rejects') t.match(JSON.stringify(log), /hunter2/)
    t.notMatch((await browser.fetch('/read')).body, /hunter2/)
    Object.assign(store, { read })
    t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}', `${name}: and then all is well again`)
  }
})

test('a store may answer with promises of a library of its own', async t => {
  const store = new BreakableStore()
  const { browser } = await started(t, store)
  const { read } = store
  Object.assign(store, { read: (...args: Parameters<typeof read>) => ({ then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => { Promise.resolve(read.apply(store, args)).then(resolve, reject) } }) })
  await browser.fetch('/begin')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}')
})

test('a write that the store does not take is an error, and the session stays as it was', async t => {
  const store = new BreakableStore()
  const { browser } = await started(t, store)
  await browser.fetch('/begin')
  const { patch, create, destroy } = store
  for (const broken of [async () => { throw new Error('disk full') }, async () => 'perhaps']) {
    Object.assign(store, { patch: broken, destroy: broken })
    for (const path of ['/write/5', '/update', '/logout']) await refuses(t, browser, path, 'write')
    Object.assign(store, { patch, destroy })
  }
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}')
  store.create = async () => { throw new Error('disk full') }
  await refuses(t, new Browser(browser.origin), '/begin', 'create')
  store.create = create
})

test('a revocation and a notBefore that fail give 503 as well', async t => {
  let isBroken = false
  const fail = async (): Promise<never> => { throw new Error('down') }
  for (const more of [
    { revocation: { isEnded: () => isBroken ? fail() : false, end: () => isBroken ? fail() : undefined } },
    { notBefore: () => isBroken ? fail() : 0 },
  ]) {
    const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, ...more })
    app.get('/begin', async ({ session }) => { session.login('ada'); return '' })
    app.get('/read', async ({ session }) => session.subject)
    const browser = await Browser.of(t, app)
    await browser.fetch('/begin')
    isBroken = true
    await refuses(t, browser, '/read', Object.keys(more)[0]!)
    isBroken = false
    t.equal((await browser.fetch('/read')).body, 'ada')
  }
})

test('a MemoryStore that is full refuses new sessions with 503 and keeps those that it has', async t => {
  const { browser } = await started(t, new MemoryStore({ maxSessions: 2 }))
  const other = new Browser(browser.origin)
  for (const one of [browser, other]) t.equal((await one.fetch('/begin')).statusCode, 200)
  const answer = await new Browser(browser.origin).fetch('/begin')
  t.match(JSON.parse(answer.body), { statusCode: 503, code: 'FST_KEEP_SECURE_SESSION_STORE_FULL' })
  for (const one of [browser, other]) t.equal((await one.fetch('/read')).body, '{"user":"ada","isNew":false}')
  await browser.fetch('/logout')
  t.equal((await new Browser(browser.origin).fetch('/begin')).statusCode, 200)
})

test('a store without the methods of one is refused at registration', async t => {
  await t.rejects(httpApp(t, { keys: [key], store: { read: async () => undefined } as never }), { code: 'FST_KEEP_SECURE_SESSION_OPTION_INVALID', message: /read, create, patch/ })
  for (const option of ['revocation', 'notBefore', 'chunks', 'maxEnded']) {
    const value = { revocation: { isEnded: () => false, end: () => {} }, notBefore: () => 0, chunks: 2, maxEnded: 5 }[option]
    await t.rejects(httpApp(t, { keys: [key], store: new MemoryStore(), [option]: value }), { code: 'FST_KEEP_SECURE_SESSION_NEEDS_SEALED_COOKIE', message: new RegExp(`"${option}"`) })
  }
})
