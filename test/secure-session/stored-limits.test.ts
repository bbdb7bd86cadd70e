import { join } from 'node:path'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { test } from 'tap'
import { MemoryStore } from '@fastkeep/secure-session'
import { open } from 'lmdb'
import { ExpressStore } from '@fastkeep/secure-session/express'
import { LmdbStore } from '@fastkeep/secure-session/lmdb'
import { inTurn } from '../../packages/secure-session/src/stores/in-turn.js'
import { Browser, httpApp, key } from './https-app.ts'

const development = { keys: [key], development: true, csrf: false } as const

test('the data of a session in a store is bounded as a whole, and what is too much changes nothing', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore(), maxSize: 5000 })
  app.get('/set/:field', async ({ session, params }) => { Reflect.set(session, (params as { field: string }).field, 'x'.repeat(2000)); return '' })
  app.get('/fields', async ({ session }) => Object.keys(session))
  const browser = await Browser.of(t, app)
  for (const field of ['user', 'note']) t.equal((await browser.fetch(`/set/${field}`)).statusCode, 200)
  const answer = await browser.fetch('/set/a')
  t.match(JSON.parse(answer.body), { statusCode: 500, code: 'FST_KEEP_SECURE_SESSION_TOO_LARGE', message: /limit is 5000 bytes/ })
  t.same(JSON.parse((await browser.fetch('/fields')).body), ['user', 'note'])
})

test('over plain HTTP no session is begun in the store, of which the browser would not learn', async t => {
  const store = new MemoryStore()
  const { app, log } = await httpApp(t, { keys: [key], store })
  app.get('/', async ({ session }) => { session.user = 'ada'; return '' })
  t.same((await (await Browser.of(t, app)).fetch('/')).setCookie, [])
  t.equal(store.size, 0)
  t.ok(log.some(({ code }) => code === 'FST_KEEP_SECURE_SESSION_INSECURE_TRANSPORT'))
})

test('an update goes on under the next id when another request regenerates the session meanwhile', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  let regenerated = async (): Promise<unknown> => undefined
  app.get('/begin', async ({ session }) => { session.visits = 1; return '' })
  app.get('/regenerate', async ({ session }) => { session.regenerate(['visits']); return '' })
  app.get('/update', async ({ session }) => {
    await session.update(async data => { await regenerated(); data.visits = (data.visits ?? 0) + 1 })
    return ''
  })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  regenerated = async () => { regenerated = async () => undefined; await browser.fetch('/regenerate') }
  t.equal((await browser.fetch('/update')).statusCode, 200)
  t.equal((await browser.fetch('/read')).body, '{"visits":2}')
})

test('update() writes what was set before it, sees what others wrote, and fails on a session that has ended', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  app.get('/begin', async ({ session }) => { session.login('ada'); return '' })
  app.get('/update', async ({ session }) => {
    session.user = 'ada'
    await session.update(data => { t.equal(data.user, 'ada'); data.visits = 1; delete data.note })
    session.note = 'after'
    return session.data()
  })
  app.get('/throw', async ({ session }) => { await session.update(() => { throw new Error('no') }); return '' })
  app.get('/late', async ({ session }) => { await app.sessions.destroyAll('ada'); await session.update(data => { data.visits = 7 }); return '' })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  t.same(JSON.parse((await browser.fetch('/update')).body), { user: 'ada', visits: 1, note: 'after' })
  t.same(JSON.parse((await browser.fetch('/read')).body), { user: 'ada', visits: 1, note: 'after' })
  t.equal((await browser.fetch('/throw')).statusCode, 500)
  t.match(JSON.parse((await browser.fetch('/late')).body), { statusCode: 409, code: 'FST_KEEP_SECURE_SESSION_ENDED' })
})

test('a logout that a later onSend hook fails on is told once, and stays', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  app.addHook('onSend', async ({ url }, reply) => { if (url === '/logout' && reply.statusCode === 200) throw new Error('late') })
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  t.match(await browser.fetch('/logout'), { statusCode: 500, setCookie: [/Max-Age=0/] })
  t.equal(app.sessions.counts.destroyed, 1)
})

test('update() removes a field by any name, on a session that is stored and on one that is new', async t => {
  const { app } = await httpApp(t, { ...development, store: new MemoryStore() })
  app.get('/update', async ({ session }) => {
    Reflect.apply(session.set, session, ['constructor', 1])
    await session.update(data => { Reflect.deleteProperty(data, 'constructor'); data.user = 'ada' })
    return ''
  })
  app.get('/add', async ({ session }) => { Reflect.apply(session.set, session, ['constructor', 1]); return '' })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  await browser.fetch('/update')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}')
  await browser.fetch('/add')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","constructor":1}')
  await browser.fetch('/update')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}')
})

test('what takes turns waits for the one before it, and one that waits for itself goes on', async t => {
  const inOrder = inTurn()
  const seen: number[] = []
  await Promise.all([1, 2, 3].map(async number => await inOrder('key', async () => { await setImmediate(); seen.push(number) })))
  t.same(seen, [1, 2, 3])
  const patient = inTurn(1)
  t.equal(await patient('key', async () => await patient('key', async () => 'inner')), 'inner')
})

test('a MemoryStore that is full drops all that have expired, wherever its sweeper is', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const store = new MemoryStore({ maxSessions: 6000 })
  t.teardown(() => store.close())
  const now = Math.floor(Date.now() / 1000)
  const moment = { now, idleTimeout: 50, absoluteTimeout: 50, renewAfter: 50 }
  const session = { version: 1, createdAt: now, renewedAt: now, data: '{}' }
  for (let count = 0; count < 6000; count++) await store.create(`id${count}`, session, moment)
  // The sweeper has looked at the first of them, and found none.
  mock.timers.tick(1000)
  await store.create('next', { ...session, createdAt: now + 60, renewedAt: now + 60 }, { ...moment, now: now + 60 })
  t.equal(store.size, 1)
})

test('an LmdbStore that cannot be opened says so, and where', async t => {
  const path = join(t.testdir({ file: '' }), 'file')
  t.throws(() => new LmdbStore({ path }), { code: 'FST_KEEP_SECURE_SESSION_STORE_UNUSABLE', message: new RegExp(path), exitCode: 78 })
})

test('an ExpressStore whose store does not answer once goes on with the next request of the session', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  let isMute = true
  const store = new ExpressStore({ get: (_id, done) => { if (!isMute) done(null, null) }, set: (_id, _session, done) => done?.(), destroy: (_id, done) => done?.() })
  const now = Math.floor(Date.now() / 1000)
  const moment = { now, idleTimeout: 50, absoluteTimeout: 50, renewAfter: 50 }
  const mute = store.patch('id', {}, moment)
  const next = store.patch('id', {}, moment)
  await setImmediate()
  isMute = false
  mock.timers.tick(10_000)
  await t.rejects(mute, { message: 'no answer within 10000 ms' })
  t.equal(await next, 'missing')
})

test('what has expired in LMDB is swept, sessions and ends', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const path = t.testdir()
  const store = new LmdbStore({ path })
  const now = Math.floor(Date.now() / 1000)
  const moment = { now: now - 100, idleTimeout: 50, absoluteTimeout: 50, renewAfter: 50 }
  const session = { version: 1, createdAt: now - 100, renewedAt: now - 100, data: '{}' }
  await store.create('expired', session, moment)
  await store.create('alive', { ...session, createdAt: now, renewedAt: now }, { ...moment, now })
  await store.revocation.end('over', { from: now - 100, until: now - 1 })
  await store.revocation.end('counts', { from: now - 100, until: now + 100 })
  mock.timers.tick(10_000)
  await store.close()
  const root = open<string, string>({ path: join(path, 'sessions.mdb'), encoding: 'string', maxDbs: 3 })
  t.teardown(() => root.close())
  t.same(['sessions', 'ends'].map(name => [...root.openDB<string, string>({ name, encoding: 'string' }).getKeys()]), [['alive'], ['counts']])
})
