import { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { MemoryStore, type SecureSessionOptions } from '@fastkeep/secure-session'
import { Browser, httpApp, httpsApp, key, overHttps } from './https-app.ts'

const development = { keys: [key], development: true } as const
const CROSS_SITE = 'FST_KEEP_SECURE_SESSION_CROSS_SITE'

async function started (t: Test, options: SecureSessionOptions = development): Promise<{ app: FastifyInstance, browser: Browser, host: string }> {
  const { app } = await httpApp(t, options)
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/token', async ({ session }) => session.csrfToken())
  app.get('/login', async ({ session }) => { session.login('ada'); return '' })
  app.get('/callback', { session: { csrf: false } }, async ({ session }) => { session.login('ada'); return '' })
  app.post('/change', async ({ session }) => { session.visits = 1; return 'changed' })
  app.post('/open', { session: { csrf: false } }, async () => 'open')
  app.post('/login', async ({ session }) => { session.login('ada'); return 'in' })
  app.post('/off', { session: false }, async () => 'off')
  const browser = await Browser.of(t, app)
  return { app, browser, host: browser.origin }
}

for (const [mode, options] of [['sealed cookie', development], ['store', { ...development, store: new MemoryStore() }]] as const) {
  test(`${mode}: with a session, what another site's page sends is refused, and its own page's is not`, async t => {
    const { browser, host } = await started(t, options)
    await browser.fetch('/begin')
    const cases: Array<[Record<string, string>, number]> = [
      [{ 'sec-fetch-site': 'same-origin' }, 200],
      [{ 'sec-fetch-site': 'none' }, 200],
      [{ 'sec-fetch-site': 'same-site', origin: 'http://evil.example' }, 403],
      [{ 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' }, 403],
      [{ 'sec-fetch-site': 'cross-site' }, 403],
      [{ 'sec-fetch-site': 'cross-site', origin: host }, 403],
      [{ 'sec-fetch-site': 'nonsense' }, 403],
      [{ origin: host }, 200],
      [{ origin: 'null' }, 403],
      [{ origin: `${host}.evil.example` }, 403],
      [{}, 200],
    ]
    for (const [headers, statusCode] of cases) {
      const answer = await browser.fetch('/change', 'POST', headers)
      t.equal(answer.statusCode, statusCode, JSON.stringify(headers))
      if (statusCode === 403) {
        t.match(JSON.parse(answer.body), { code: CROSS_SITE, message: /csrf\.origins/ })
        t.same(answer.setCookie, [])
      }
    }
  })

  test(`${mode}: without a session, or with one that is refused, nothing is held against a request but a login`, async t => {
    const { browser } = await started(t, options)
    const foreign = { 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' }
    t.equal((await browser.fetch('/change', 'POST', foreign)).statusCode, 200)
    browser.cookies.set('session', 'nonsense')
    t.equal((await browser.fetch('/change', 'POST', foreign)).statusCode, 200)
    browser.cookies.clear()
    for (const method of ['GET', 'POST'] as const) {
      const answer = await browser.fetch('/login', method, foreign)
      t.match(answer, { statusCode: 403, setCookie: { length: 0 } }, method)
      t.match(JSON.parse(answer.body), { code: CROSS_SITE })
    }
    t.match(await browser.fetch('/login', 'POST', { 'sec-fetch-site': 'same-origin' }), { statusCode: 200, setCookie: { length: 1 } })
  })
}

test('a safe method is not looked at', async t => {
  const { browser } = await started(t)
  await browser.fetch('/begin')
  t.equal((await browser.fetch('/begin', 'GET', { 'sec-fetch-site': 'cross-site' })).statusCode, 200)
})

test('an origin that is listed may act for who is logged in', async t => {
  const { browser } = await started(t, { ...development, csrf: { origins: ['https://admin.example.com'] } })
  await browser.fetch('/begin')
  t.equal((await browser.fetch('/change', 'POST', { 'sec-fetch-site': 'same-site', origin: 'https://admin.example.com' })).statusCode, 200)
  t.equal((await browser.fetch('/change', 'POST', { 'sec-fetch-site': 'same-site', origin: 'https://other.example.com' })).statusCode, 403)
})

test('a route can be left to other pages, and all of them', async t => {
  const foreign = { 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' }
  const { browser } = await started(t)
  await browser.fetch('/begin')
  t.match(await browser.fetch('/open', 'POST', foreign), { statusCode: 200, body: 'open' })
  t.match(await browser.fetch('/off', 'POST', foreign), { statusCode: 200, body: 'off' })
  t.match(await browser.fetch('/callback', 'GET', foreign), { statusCode: 200 }, 'as for the answer of an identity provider')
  const { browser: open } = await started(t, { ...development, csrf: false })
  await open.fetch('/begin')
  t.equal((await open.fetch('/change', 'POST', foreign)).statusCode, 200)
})

test('over HTTPS the page of the same host over plain HTTP is another origin', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.post('/login', async ({ session }) => { session.login('ada'); return 'in' })
  const browser = await Browser.of(t, app)
  t.equal((await browser.fetch('/login', 'POST', { origin: browser.origin.replace('https', 'http') })).statusCode, 403)
  t.equal((await browser.fetch('/login', 'POST', { origin: browser.origin })).statusCode, 200)
})

test('requireToken asks who tells nothing for the token of the session, in a header or a field', async t => {
  const { app, browser } = await started(t, { ...development, csrf: { requireToken: true } })
  const token = (await browser.fetch('/token')).body
  t.equal(browser.cookies.size, 1, 'the session that the token belongs to is kept')
  const missing = await browser.fetch('/change', 'POST')
  t.match(JSON.parse(missing.body), { statusCode: 403, code: 'FST_KEEP_SECURE_SESSION_TOKEN_REQUIRED' })
  t.equal((await browser.fetch('/change', 'POST', { 'x-csrf-token': token })).statusCode, 200)
  t.equal((await browser.fetch('/change', 'POST', { 'sec-fetch-site': 'same-origin' })).statusCode, 200, 'a browser that tells needs none')
  t.equal((await browser.fetch('/change', 'POST', { 'x-csrf-token': token.slice(1) })).statusCode, 403)
  t.equal((await browser.fetch('/change', 'POST', { 'x-csrf-token': '' })).statusCode, 403)
  t.equal((await browser.fetch('/change', 'POST', { 'sec-fetch-site': 'cross-site', 'x-csrf-token': token })).statusCode, 403)
  const cookie = `session=${browser.cookies.get('session')}`
  t.equal((await app.inject({ method: 'POST', url: '/change', headers: { cookie }, payload: { _csrf: token } })).statusCode, 200)
  const other = new Browser(browser.origin)
  await other.fetch('/token')
  t.equal((await other.fetch('/change', 'POST', { 'x-csrf-token': token })).statusCode, 403, 'the token of another session')
})

test('with requireToken a login needs the token of the session that the form came with', async t => {
  const { browser } = await started(t, { ...development, csrf: { requireToken: true } })
  t.equal((await browser.fetch('/login', 'POST')).statusCode, 403)
  const token = (await browser.fetch('/token')).body
  t.not((await browser.fetch('/token')).body, token, 'each token is another text')
  t.equal((await browser.fetch('/login', 'POST', { 'x-csrf-token': token })).statusCode, 200)
  t.equal((await browser.fetch('/change', 'POST', { 'x-csrf-token': token })).statusCode, 403, 'it has ended with the id')
})

test('origins that are none are refused at registration', async t => {
  for (const origin of ['https://admin.example.com/', 'admin.example.com', 'https://admin.example.com/path', 7]) {
    await t.rejects(httpApp(t, { ...development, csrf: { origins: [origin as string] } }), { code: 'FST_KEEP_SECURE_SESSION_OPTION_INVALID' }, String(origin))
  }
  await t.rejects(httpApp(t, { ...development, csrf: true as never }), { code: 'FST_KEEP_SECURE_SESSION_OPTION_INVALID' })
})
