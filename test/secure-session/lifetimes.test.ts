import { test } from 'tap'
import { generateKey, type SecureSessionOptions } from '@fastkeep/secure-session'
import { currentSecond, isInFuture, isRenewalDue, passedLimit } from '../../packages/secure-session/src/lifetimes.js'
import { agedCookie, lifetimes, opened } from './cookies.ts'
import { Browser, httpsApp, key, overHttps } from './https-app.ts'

async function reader (t: Parameters<typeof httpsApp>[0], options?: SecureSessionOptions): Promise<Browser> {
  const { app } = await httpsApp(t, options)
  app.get('/read', async ({ session }) => ({ user: session.user }))
  app.get('/write', async ({ session }) => { session.visits = 1; return '' })
  app.get('/login', async ({ session }) => { session.regenerate(['user']); return '' })
  app.get('/untouched', async () => '')
  return Browser.of(t, app)
}

test('a session ends in the second of its limit and not before', async t => {
  t.equal(passedLimit({ createdAt: 0, renewedAt: 1000 }, lifetimes, 2799), undefined)
  t.equal(passedLimit({ createdAt: 0, renewedAt: 1000 }, lifetimes, 2800), 'idle-timeout')
  t.equal(passedLimit({ createdAt: 0, renewedAt: 43000 }, lifetimes, 43199), undefined)
  t.equal(passedLimit({ createdAt: 0, renewedAt: 43000 }, lifetimes, 43200), 'absolute-timeout')
})

test('a begin or a renewal ahead of the clock by more than a minute is in the future', async t => {
  t.equal(isInFuture({ createdAt: 1060, renewedAt: 1060 }, 1000), false)
  t.equal(isInFuture({ createdAt: 1061, renewedAt: 1000 }, 1000), true)
  t.equal(isInFuture({ createdAt: 1000, renewedAt: 1061 }, 1000), true)
})

test('renewal is due after half of the idle time', async t => {
  t.equal(isRenewalDue({ createdAt: 0, renewedAt: 0 }, lifetimes, 899), false)
  t.equal(isRenewalDue({ createdAt: 0, renewedAt: 0 }, lifetimes, 900), true)
})

test('a cookie that was idle for too long is a new session', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(2000, 1800)
  t.equal((await browser.fetch('/read')).body, '{}')
})

test('a session past its absolute limit has ended however busy it was', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(43200, 1)
  t.equal((await browser.fetch('/read')).body, '{}')
})

test('within its limits a session goes on, and the options set the limits', overHttps, async t => {
  const usual = await reader(t)
  usual.session = agedCookie(43000, 1700)
  t.equal((await usual.fetch('/read')).body, '{"user":"ada"}')
  const strict = await reader(t, { keys: [key], idleTimeout: 60, absoluteTimeout: 600 })
  strict.session = agedCookie(100, 61)
  t.equal((await strict.fetch('/read')).body, '{}')
  strict.session = agedCookie(601, 10)
  t.equal((await strict.fetch('/read')).body, '{}')
})

test('a read renews the idle time only in its second half, and never the absolute one', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(5000, 890)
  t.same((await browser.fetch('/read')).setCookie, [])
  browser.session = agedCookie(5000, 901)
  const began = opened(browser.session).record.createdAt
  t.equal((await browser.fetch('/read')).setCookie.length, 1)
  t.match(opened(browser.session), { record: { createdAt: began }, data: '{"user":"ada"}' })
  t.ok(currentSecond() - opened(browser.session).record.renewedAt < 10)
  t.same((await browser.fetch('/read')).setCookie, [], 'once is enough')
})

test('a route that does not use the session renews nothing', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(5000, 1700)
  t.same((await browser.fetch('/untouched')).setCookie, [])
})

test('a write restarts the idle time and leaves the absolute one', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(5000, 100)
  const began = opened(browser.session).record.createdAt
  await browser.fetch('/write')
  t.equal(opened(browser.session).record.createdAt, began)
  t.ok(currentSecond() - opened(browser.session).record.renewedAt < 10)
})

test('regenerate() restarts the absolute time', overHttps, async t => {
  const browser = await reader(t)
  browser.session = agedCookie(5000, 100)
  await browser.fetch('/login')
  t.ok(currentSecond() - opened(browser.session).record.createdAt < 10)
})

test('a cookie under a retired key is sealed anew with the first key at first sight', overHttps, async t => {
  const next = generateKey()
  const browser = await reader(t, { keys: [next, key] })
  browser.session = agedCookie(100, 10)
  const { body, setCookie } = await browser.fetch('/read')
  t.equal(body, '{"user":"ada"}')
  t.equal(setCookie.length, 1)
  t.match(opened(browser.session, [next]), { record: { id: 'id' }, data: '{"user":"ada"}' })
  t.same((await browser.fetch('/read')).setCookie, [])
})
