import { test } from 'tap'
import { Browser, httpApp, httpsApp, overHttps } from './https-app.ts'

test('no cache keeps an answer with the cookie, be it written or expired', overHttps, async t => {
  const { app } = await httpsApp(t)
  const given: Array<[string | string[] | undefined, string]> = [
    [undefined, 'no-store'],
    ['public, max-age=3600', 'no-store'],
    ['max-age=60', 'no-store'],
    ['private="x-name", max-age=60', 'no-store'],
    ['x-private', 'no-store'],
    ['private, max-age=60', 'private, max-age=60'],
    ['No-Cache, No-Store', 'No-Cache, No-Store'],
    [['max-age=60', 'private'], 'max-age=60, private'],
  ]
  app.get('/write/:index', async (request, reply) => {
    const [value] = given[Number((request.params as { index: string }).index)]!
    if (value !== undefined) reply.header('cache-control', value)
    request.session.note = Math.random()
    return ''
  })
  app.get('/logout', async ({ session }, reply) => { reply.header('cache-control', 'public'); session.destroy(); return '' })
  const browser = await Browser.of(t, app)
  for (const [index, [value, expected]] of given.entries()) {
    const { headers, setCookie } = await browser.fetch(`/write/${index}`)
    t.equal([headers['cache-control']].flat().join(', '), expected, String(value))
    t.equal(setCookie.length, 1)
  }
  t.match(await browser.fetch('/logout'), { headers: { 'cache-control': 'no-store' }, setCookie: [/Max-Age=0/] })
})

test('an answer without the cookie keeps its Cache-Control', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/', async ({ session }, reply) => { reply.header('cache-control', 'public'); return session.user ?? '' })
  app.get('/none', async ({ session }) => session.user ?? '')
  const browser = await Browser.of(t, app)
  t.match(await browser.fetch('/'), { headers: { 'cache-control': 'public' }, setCookie: { length: 0 } })
  t.equal((await browser.fetch('/none')).headers['cache-control'], undefined)
})

test('a cookie that is not sent over plain HTTP changes no Cache-Control', async t => {
  const { app } = await httpApp(t)
  app.get('/', async ({ session }, reply) => { reply.header('cache-control', 'public'); session.user = 'ada'; return '' })
  t.match(await (await Browser.of(t, app)).fetch('/'), { headers: { 'cache-control': 'public' }, setCookie: { length: 0 } })
})
