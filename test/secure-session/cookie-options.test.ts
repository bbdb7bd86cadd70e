import { test } from 'tap'
import { type SecureSessionOptions } from '@fastkeep/secure-session'
import { Browser, httpApp, httpsApp, key, overHttps } from './https-app.ts'

const contradicts = 'FST_KEEP_SECURE_SESSION_COOKIE_CONTRADICTS'

test('what browsers would ignore is refused at registration', async t => {
  const refused: Array<[SecureSessionOptions, RegExp]> = [
    [{ domain: 'example.com' }, /"domain" is given with the prefix __Host-/],
    [{ path: '/app' }, /"path" is "\/app" with the prefix __Host-/],
    [{ prefix: '__Host-Http-', domain: 'example.com' }, /"domain".*__Host-Http-/],
    [{ sameSite: 'none', development: true }, /"sameSite" is 'none' with "development"/],
    [{ partitioned: true, development: true }, /"partitioned" is given with "development"/],
  ]
  for (const [options, message] of refused) {
    await t.rejects(httpApp(t, { keys: [key], ...options }), { code: contradicts, message, exitCode: 78 }, String(message))
  }
})

test('values that do not belong into a cookie are refused', async t => {
  for (const options of [{ domain: 'a;b' }, { domain: '.example.com' }, { path: 'app' }, { path: '/a;b' }, { prefix: '__host-' }, { sameSite: 'None' }, { chunks: 4 }, { name: 'my session' }]) {
    await t.rejects(httpApp(t, { keys: [key], ...options as SecureSessionOptions }), { code: 'FST_KEEP_SECURE_SESSION_OPTION_INVALID' }, JSON.stringify(options))
  }
})

test('each prefix is sent with what browsers ask of it', overHttps, async t => {
  const cases: Array<[SecureSessionOptions, string]> = [
    [{}, '__Host-session=V; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{ prefix: '__Host-Http-' }, '__Host-Http-session=V; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{ prefix: '__Secure-', domain: 'example.com', path: '/app' }, '__Secure-session=V; Domain=example.com; Path=/app; HttpOnly; Secure; SameSite=Lax'],
    [{ prefix: '__Http-' }, '__Http-session=V; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{ prefix: 'none' }, 'session=V; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [{ sameSite: 'strict' }, '__Host-session=V; Path=/; HttpOnly; Secure; SameSite=Strict'],
    [{ sameSite: 'none', partitioned: true }, '__Host-session=V; Path=/; HttpOnly; Secure; Partitioned; SameSite=None'],
    [{ persistent: true, absoluteTimeout: 3600 }, '__Host-session=V; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax'],
  ]
  for (const [options, expected] of cases) {
    const { app } = await httpsApp(t, { keys: [key], ...options })
    app.get('/', async ({ session }) => { session.user = 'ada'; return '' })
    app.get('/out', async ({ session }) => { session.destroy(); return '' })
    const browser = await Browser.of(t, app)
    const sorted = (line: string): string[] => line.replace(/=[\w-]{60,}/, '=V').split('; ').toSorted()
    t.same(sorted((await browser.fetch('/')).setCookie[0]!), sorted(expected), expected)
    const [gone] = (await browser.fetch('/out')).setCookie
    t.match(gone, /Max-Age=0/)
    t.same(sorted(gone!).slice(-2).length, 2)
    for (const attribute of ['Path', 'Domain']) {
      const find = (line: string): string | undefined => line.split('; ').find(part => part.startsWith(attribute))
      t.equal(find(gone!), find(expected), 'the cookie that is expired is the one that was set')
    }
  }
})

test('a larger session is spread over cookies where that is allowed, and what a smaller one leaves behind is expired', overHttps, async t => {
  const { app } = await httpsApp(t, { keys: [key], chunks: 3 })
  app.get('/write/:length', async ({ session, params }) => { session.note = 'x'.repeat(Number((params as { length: string }).length)); return '' })
  app.get('/read', async ({ session }) => String((session.note as string | undefined)?.length))
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  const browser = await Browser.of(t, app)
  for (const [length, names] of [
    [100, ['__Host-session']],
    [4000, ['__Host-session', '__Host-session.1']],
    [8500, ['__Host-session', '__Host-session.1', '__Host-session.2']],
    [5000, ['__Host-session', '__Host-session.1']],
    [10, ['__Host-session']],
  ] as const) {
    const answer = await browser.fetch(`/write/${length}`)
    t.equal(answer.statusCode, 200)
    t.same([...browser.cookies.keys()].toSorted(), names)
    for (const line of answer.setCookie) t.ok(line.split(';')[0]!.length <= 4097, 'no cookie is longer than browsers take')
    t.equal((await browser.fetch('/read')).body, String(length))
  }
  await browser.fetch('/write/8500')
  await browser.fetch('/logout')
  t.equal(browser.cookies.size, 0)
  const tooLarge = await browser.fetch('/write/12000')
  t.match(tooLarge, { statusCode: 500, setCookie: { length: 0 } })
  t.match(JSON.parse(tooLarge.body), { code: 'FST_KEEP_SECURE_SESSION_TOO_LARGE' })
})

test('pieces that do not belong together are refused, and a chunked cookie is read whichever number is allowed', overHttps, async t => {
  const apps = await Promise.all([{ keys: [key], chunks: 3 }, { keys: [key], chunks: 2 }].map(async options => {
    const { app } = await httpsApp(t, options)
    app.get('/write/:length', async ({ session, params }) => { session.note = 'x'.repeat(Number((params as { length: string }).length)); return '' })
    app.get('/read', async ({ session }) => ({ isNew: session.isNew }))
    return Browser.of(t, app)
  }))
  const [browser, narrow] = apps as [Browser, Browser]
  await browser.fetch('/write/5000')
  for (const [name, value] of browser.cookies) narrow.cookies.set(name, value)
  t.equal((await narrow.fetch('/read')).body, '{"isNew":false}')
  const former = browser.cookies.get('__Host-session.1')!
  await browser.fetch('/write/5001')
  const current = browser.cookies.get('__Host-session.1')!
  for (const piece of [former, '', current.slice(1), 'x'.repeat(3000)]) {
    browser.cookies.set('__Host-session.1', piece)
    t.equal((await browser.fetch('/read')).body, '{"isNew":true}')
  }
  browser.cookies.delete('__Host-session.1')
  t.equal((await browser.fetch('/read')).body, '{"isNew":true}')
})
