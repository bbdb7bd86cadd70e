import { test } from 'tap'
import { type Session } from '@fastkeep/secure-session'
import { Browser, httpsApp, key, overHttps } from './https-app.ts'

class Money { amount = 1 }

const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

test('what one request sets, the next one reads: by method and by property', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async request => {
    request.session.set('user', 'ada')
    request.session.visits = 1
    return ''
  })
  app.get('/read', async ({ session }) => [session.user, session.get('user'), session.visits, session.get('visits'), session.get('note') ?? null])
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  t.same(JSON.parse((await browser.fetch('/read')).body), ['ada', 'ada', 1, 1, null])
})

test('a session behaves as an object of its fields', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/', async ({ session }) => {
    session.user = 'ada'
    session.visits = 1
    delete session.visits
    return {
      has: ['user' in session, 'visits' in session, 'get' in session, 'toString' in session],
      keys: Object.keys(session),
      spread: { ...session },
      data: session.data(),
      json: JSON.stringify(session),
      awaited: await Promise.resolve(session) === session,
    }
  })
  const browser = await Browser.of(t, app)
  t.same(JSON.parse((await browser.fetch('/')).body), {
    has: [true, false, true, false],
    keys: ['user'],
    spread: { user: 'ada' },
    data: { user: 'ada' },
    json: '{"user":"ada"}',
    awaited: true,
  })
})

test('a field that is deleted or set to undefined is gone in the next request', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.user = 'ada'; session.visits = 1; session.note = 'x'; return '' })
  app.get('/delete', async ({ session }) => { delete session.user; session.set('visits', undefined); return '' })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  await browser.fetch('/delete')
  t.same(JSON.parse((await browser.fetch('/read')).body), { note: 'x' })
})

test('a change inside of a value is noticed', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.cart = { items: ['tea'] }; return '' })
  app.get('/add', async ({ session }) => { session.cart?.items.push('milk'); return '' })
  app.get('/read', async ({ session }) => session.cart?.items)
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  t.equal((await browser.fetch('/add')).setCookie.length, 1)
  t.same(JSON.parse((await browser.fetch('/read')).body), ['tea', 'milk'])
})

test('what JSON cannot carry is refused by the name of its field when it is set', overHttps, async t => {
  const { app } = await httpsApp(t)
  const refused: Array<[unknown, RegExp]> = [
    [new Date(), /"note" is a Date/],
    [{ at: new Date() }, /"note\.at" is a Date/],
    [new Map(), /a Map/],
    [new Set(), /a Set/],
    [Buffer.from('x'), /a Buffer/],
    [new Money(), /a Money/],
    [1n, /a bigint/],
    [() => {}, /a function/],
    [Symbol('s'), /a symbol/],
    [NaN, /NaN/],
    [{ list: [1, Infinity] }, /"note\.list\[1\]" is Infinity/],
    [[undefined], /"note\[0\]" is undefined/],
    // eslint-disable-next-line no-sparse-arrays
    [[1, , 2], /"note\[1\]" is undefined/],
    [cyclic, /"note\.self" is a reference to an object around it/],
    [{ [Symbol('s')]: 1 }, /a symbol for a key/],
    [JSON.parse('{"__proto__": {"isAdmin": true}}'), /"note\.__proto__"/],
  ]
  app.get('/:index', async (request, reply) => {
    const [value] = refused[Number((request.params as { index: string }).index)]!
    try {
      request.session.note = value
    } catch (error) {
      return reply.send({ code: (error as { code: string }).code, message: (error as Error).message })
    }
  })
  const browser = await Browser.of(t, app)
  for (const [index, [, message]] of refused.entries()) {
    const answer = await browser.fetch(`/${index}`)
    t.match(JSON.parse(answer.body), { code: 'FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON', message })
    t.same(answer.setCookie, [])
  }
})

test('what JSON can carry comes back as it was', async t => {
  const value = { text: 'naïve ☕ \u2028', zero: 0, no: null, yes: true, list: [[], {}, 1.5], twice: [cyclic.constructor === Object] }
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.note = { ...value, gone: undefined }; return '' })
  app.get('/read', async ({ session }) => ({ note: session.note }))
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  t.same(JSON.parse((await browser.fetch('/read')).body), { note: value })
})

test('names of the session itself are data only through get() and set()', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => {
    for (const name of ['id', 'destroy', 'constructor', '__proto__']) {
      t.throws(() => Reflect.set(session, name, {}), { code: 'FST_KEEP_SECURE_SESSION_NAME_RESERVED', message: new RegExp(`"${name}"`) })
      t.throws(() => Reflect.deleteProperty(session, name), { code: 'FST_KEEP_SECURE_SESSION_NAME_RESERVED' })
    }
    t.throws(() => Object.defineProperty(session, 'user', { value: 'eve' }), TypeError)
    t.throws(() => Object.setPrototypeOf(session, { isAdmin: true }), TypeError)
    ;(session as unknown as { set (key: string, value: unknown): void }).set('constructor', 'data')
    return ''
  })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  t.equal((await browser.fetch('/write')).statusCode, 200)
  t.same(JSON.parse((await browser.fetch('/read')).body), { constructor: 'data' })
})

test('no field is inherited', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/', async ({ session }) => {
    const get = (key: string): unknown => (session.get as (key: string) => unknown)(key)
    return [get('constructor'), get('__proto__'), get('toString')].map(value => value === undefined)
  })
  const browser = await Browser.of(t, app)
  t.same(JSON.parse((await browser.fetch('/')).body), [true, true, true])
})

test('a session says whether it is new and whether it is empty, and keeps its id', overHttps, async t => {
  const { app } = await httpsApp(t)
  const state = ({ id, isNew, isEmpty }: Session) => ({ id, isNew, isEmpty })
  app.get('/', async ({ session }) => state(session))
  app.get('/write', async ({ session }) => { session.user = 'ada'; return state(session) })
  const browser = await Browser.of(t, app)
  const untouched = JSON.parse((await browser.fetch('/')).body)
  t.match(untouched, { isNew: true, isEmpty: true, id: /^[A-Za-z0-9_-]{43}$/ })
  const written = JSON.parse((await browser.fetch('/write')).body)
  t.match(written, { isNew: true, isEmpty: false })
  t.not(written.id, untouched.id)
  t.same(JSON.parse((await browser.fetch('/')).body), { id: written.id, isNew: false, isEmpty: false })
})

test('destroy() expires the cookie and ends the session for this request', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/logout', async ({ session }) => {
    session.destroy()
    session.destroy()
    t.throws(() => { session.user = 'eve' }, { code: 'FST_KEEP_SECURE_SESSION_DESTROYED' })
    t.throws(() => { delete session.user }, { code: 'FST_KEEP_SECURE_SESSION_DESTROYED' })
    t.throws(() => session.regenerate(), { code: 'FST_KEEP_SECURE_SESSION_DESTROYED' })
    return [session.user ?? null, session.isEmpty]
  })
  app.get('/read', async ({ session }) => session.data())
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  const { body, setCookie } = await browser.fetch('/logout')
  t.same(JSON.parse(body), [null, true])
  t.same(setCookie, ['__Host-session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax'])
  t.equal(browser.cookies.size, 0)
  t.same(JSON.parse((await browser.fetch('/read')).body), {})
})

test('destroy() in a request without the cookie, as a cross-site one is, leaves the browser\'s cookie alone', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.post('/logout', async ({ session }) => { session.destroy(); return '' })
  app.post('/change', async ({ session }) => { session.user = 'ada'; session.destroy(); return '' })
  const browser = await Browser.of(t, app)
  for (const path of ['/logout', '/change']) t.match(await browser.fetch(path, 'POST'), { statusCode: 200, setCookie: { length: 0 } }, path)
})

test('destroy() expires a cookie that was refused, too', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.post('/logout', async ({ session }) => { session.destroy(); return '' })
  const browser = await Browser.of(t, app)
  for (const value of ['nonsense', '']) {
    browser.session = value
    t.match((await browser.fetch('/logout', 'POST')).setCookie, [/^__Host-session=; Max-Age=0/], value)
    t.equal(browser.cookies.size, 0)
  }
})

test('regenerate() gives another id and clears the data but for what is to be kept', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/write', async ({ session }) => { session.user = 'mallory'; session.visits = 3; return session.id })
  app.get('/login', async ({ session }) => {
    session.regenerate(['visits'])
    t.same(session.data(), { visits: 3 })
    session.user = 'ada'
    return session.id
  })
  app.get('/clear', async ({ session }) => { session.regenerate(); return session.id })
  app.get('/read', async ({ session }) => ({ id: session.id, data: session.data() }))
  const browser = await Browser.of(t, app)
  const before = (await browser.fetch('/write')).body
  const after = (await browser.fetch('/login')).body
  t.not(after, before)
  t.same(JSON.parse((await browser.fetch('/read')).body), { id: after, data: { visits: 3, user: 'ada' } })
  const cleared = (await browser.fetch('/clear')).body
  t.same(JSON.parse((await browser.fetch('/read')).body), { id: cleared, data: {} })
})

test('the fields that SessionData declares are typed, and no others are known', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/', async ({ session }) => {
    const user: string | undefined = session.user
    // @ts-expect-error visits is a number
    session.visits = 'three'
    // @ts-expect-error visits is a number
    session.set('visits', 'three')
    // @ts-expect-error there is no such field
    session.get('usr')
    // @ts-expect-error there is no such field
    session.regenerate(['usr'])
    return user ?? 'none'
  })
  t.equal((await (await Browser.of(t, app)).fetch('/')).body, 'none')
})

test('half of a surrogate pair is data, and no name of a field or a subject', overHttps, async t => {
  const { app } = await httpsApp(t, { keys: [key], csrf: false })
  const NOT_UNICODE = { code: 'FST_KEEP_SECURE_SESSION_TEXT_NOT_UNICODE' }
  app.get('/write', async ({ session }) => {
    t.throws(() => Reflect.set(session, 'a\ud800', 1), NOT_UNICODE)
    t.throws(() => { session.note = { 'a\ud800': 1 } }, NOT_UNICODE)
    t.throws(() => session.login('ada\ud800'), NOT_UNICODE)
    session.note = 'a\ud800'
    return ''
  })
  app.get('/read', async ({ session }) => ({ isSame: session.note === 'a\ud800' }))
  const browser = await Browser.of(t, app)
  t.equal((await browser.fetch('/write')).statusCode, 200)
  t.equal((await browser.fetch('/read')).body, '{"isSame":true}')
})
