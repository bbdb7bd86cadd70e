import { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { generateKey, type SessionStore } from '@fastkeep/secure-session'
import { Browser, httpApp } from './https-app.ts'
import { STORES } from './stores.ts'

const keys = [generateKey()]

/** An application whose route /slow/... holds each request, its session loaded, until `release()`. */
async function appWith (t: Test, store: SessionStore): Promise<{ app: FastifyInstance, browser: Browser, held: (count: number) => Promise<void>, release: () => void }> {
  const { app } = await httpApp(t, { keys, development: true, store, csrf: false })
  let waiting: Array<() => void> = []
  let arrived = (): void => {}
  const hold = async (): Promise<void> => {
    await new Promise<void>(resolve => {
      waiting.push(resolve)
      arrived()
    })
  }
  const set = ({ session, params }: { session: object, params: unknown }): string => {
    const { key, value } = params as Record<string, string>
    Reflect.set(session, key!, value)
    return ''
  }
  app.get('/set/:key/:value', async request => set(request as never))
  app.get('/slow/set/:key/:value', async request => { await hold(); return set(request as never) })
  app.get('/slow/read', async request => { await hold(); return request.session.data() })
  app.get('/read', async ({ session }) => session.data())
  app.get('/state', async ({ session }) => ({ isNew: session.isNew, subject: session.subject, data: session.data() }))
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  app.get('/regenerate', async ({ session }) => { session.regenerate(['a']); return '' })
  app.get('/login', async ({ session }) => { session.login('ada', ['a']); return '' })
  app.get('/increment', async ({ session }) => { await session.update(data => { data.visits = (data.visits ?? 0) + 1 }); return '' })
  app.get('/push', async ({ session }) => { session.cart ??= { items: [] }; session.cart.items.push('tea'); return '' })
  const browser = await Browser.of(t, app)
  return {
    app,
    browser,
    async held (count) {
      while (waiting.length < count) await new Promise<void>(resolve => { arrived = resolve })
    },
    release () {
      const all = waiting
      waiting = []
      for (const resolve of all) resolve()
    },
  }
}

async function dataOf (browser: Browser): Promise<Record<string, unknown>> {
  return JSON.parse((await browser.fetch('/read')).body) as Record<string, unknown>
}

for (const { name, skip, make } of STORES) {
  test(`${name}: of 200 requests at the same time that each set a key of their own, all are kept`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    await browser.fetch('/set/first/1')
    const answers = Array.from({ length: 200 }, (_, index) => browser.fetch(`/slow/set/k${index}/1`))
    await held(200)
    release()
    for (const { statusCode } of await Promise.all(answers)) t.equal(statusCode, 200)
    t.equal(Object.keys(await dataOf(browser)).length, 201)
  })

  test(`${name}: 100 updates at the same time count to exactly 100`, { skip }, async t => {
    const { browser } = await appWith(t, await make(t))
    await browser.fetch('/set/first/1')
    const answers = await Promise.all(Array.from({ length: 100 }, () => browser.fetch('/increment')))
    t.same(answers.filter(({ statusCode }) => statusCode !== 200), [])
    t.same(await dataOf(browser), { first: '1', visits: 100 })
  })

  test(`${name}: a request that only reads never writes over what came meanwhile`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    await browser.fetch('/set/a/old')
    const reading = browser.fetch('/slow/read')
    await held(1)
    await browser.fetch('/set/a/new')
    release()
    t.equal((await reading).body, '{"a":"old"}')
    t.same(await dataOf(browser), { a: 'new' })
  })

  test(`${name}: after a logout against 50 requests in flight the session is gone, 100 times out of 100`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    let gone = 0
    for (let round = 0; round < 100; round++) {
      await browser.fetch('/set/a/1')
      const old = new Map(browser.cookies)
      const inFlight = Array.from({ length: 50 }, (_, index) => browser.fetch(index % 2 === 0 ? `/slow/set/k${index}/1` : '/slow/read'))
      await held(50)
      // Some end before the logout, some after.
      const logout = browser.fetch('/logout')
      if (round % 2 === 0) await logout
      release()
      await Promise.all([logout, ...inFlight])
      browser.cookies.clear()
      for (const [cookie, value] of old) browser.cookies.set(cookie, value)
      if ((await browser.fetch('/state')).body === '{"isNew":true,"data":{}}') gone++
      browser.cookies.clear()
    }
    t.equal(gone, 100)
  })

  test(`${name}: what a request in flight writes over a regenerate() lands in the new session, and it reads the old`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    await browser.fetch('/set/a/1')
    const writing = browser.fetch('/slow/set/late/1')
    const reading = browser.fetch('/slow/read')
    await held(2)
    const before = browser.cookies.get('session')!
    await browser.fetch('/regenerate')
    await browser.fetch('/set/secret/1')
    const newcomer = new Browser(browser.origin)
    newcomer.cookies.set('session', before)
    t.same(await dataOf(newcomer), { a: '1' }, 'what is on its way with the old cookie sees nothing that came later')
    release()
    t.match(await writing, { statusCode: 200, setCookie: { length: 0 } })
    t.equal((await reading).body, '{"a":"1"}')
    t.same(await dataOf(browser), { a: '1', secret: '1', late: '1' })
  })

  test(`${name}: login() ends the old id at once, for requests in flight and for new ones`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    await browser.fetch('/set/a/1')
    const planted = new Map(browser.cookies)
    const writing = browser.fetch('/slow/set/planted/1')
    await held(1)
    await browser.fetch('/login')
    release()
    await writing
    t.same(JSON.parse((await browser.fetch('/state')).body), { isNew: false, subject: 'ada', data: { a: '1' } })
    browser.cookies.clear()
    for (const [cookie, value] of planted) browser.cookies.set(cookie, value)
    t.equal((await browser.fetch('/state')).body, '{"isNew":true,"data":{}}')
  })

  test(`${name}: nested changes are written, and of two requests each the field it changed`, { skip }, async t => {
    const { browser, held, release } = await appWith(t, await make(t))
    await browser.fetch('/push')
    const slow = browser.fetch('/slow/set/b/2')
    await held(1)
    await browser.fetch('/push')
    release()
    await slow
    t.same(await dataOf(browser), { cart: { items: ['tea', 'tea'] }, b: '2' })
  })
}
