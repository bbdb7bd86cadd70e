import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test, type Test } from 'tap'
import { generateKey, type SecureSessionOptions, type SessionRefused } from '@fastkeep/secure-session'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { createKeyRing } from '../../packages/secure-session/src/sealed/key-ring.js'
import { seal, type SealContext } from '../../packages/secure-session/src/sealed/seal.js'
import { Browser, httpsApp, key, overHttps, type LogLine } from './https-app.ts'

const context: SealContext = {
  ring: createKeyRing([Buffer.from(key, 'base64')]), cookieName: '__Host-session', application: '', purpose: 'session', longestAge: 43200,
}

function refusalsOf (t: Test): SessionRefused[] {
  const refusals: SessionRefused[] = []
  const listener = (message: unknown) => { refusals.push(message as SessionRefused) }
  subscribe('fastkeep:secure-session:refused', listener)
  t.teardown(() => unsubscribe('fastkeep:secure-session:refused', listener))
  return refusals
}

async function started (t: Test, options?: SecureSessionOptions): Promise<{ browser: Browser, log: LogLine[] }> {
  const { app, log } = await httpsApp(t, options)
  app.get('/write', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => ({ user: session.user, isNew: session.isNew }))
  app.get('/untouched', async () => '')
  return { browser: await Browser.of(t, app), log }
}

function changed (value: string, offset: number): string {
  const bytes = Buffer.from(value, 'base64url')
  bytes[offset]! ^= 1
  return bytes.toString('base64url')
}

test('a bad cookie gives a new session, its reason is published, and neither cookie nor log line carries the value', overHttps, async t => {
  const refusals = refusalsOf(t)
  const { browser, log } = await started(t)
  await browser.fetch('/write')
  const good = browser.session
  const now = currentSecond()
  const bad: Array<[string, string]> = [
    ['malformed', 'nonsense'],
    ['malformed', `${good}=`],
    ['malformed', good.slice(0, 40)],
    ['malformed', seal(context, 'no JSON', now)],
    ['malformed', seal(context, '[1,1,1,1,null,null]\n{}', now)],
    ['malformed', seal(context, '["id",1,1,1,null,null]\n[]', now)],
    ['malformed', seal(context, '["id",1,1,1,null,"now"]\n{}', now)],
    ['malformed', seal(context, '{"id":"id"}\n{}', now)],
    ['tampered', changed(good, 60)],
    ['tampered', good.slice(0, 80)],
    ['unknown-version', changed(good, 0)],
    ['unknown-key', changed(good, 1)],
    ['unknown-key', seal({ ...context, ring: createKeyRing([randomBytes(32)]) }, '{}', now)],
    ['tampered', seal({ ...context, cookieName: '__Host-admin' }, '{}', now)],
    ['tampered', seal({ ...context, application: 'another' }, '{}', now)],
    ['day-in-future', seal(context, '{}', now + 2 * 86400)],
    ['expired', seal(context, '{}', now - 3 * 86400)],
    ['time-in-future', seal(context, `["id",${now + 120},${now},1,null,null]\n{}`, now)],
    ['time-in-future', seal(context, `["id",${now},${now + 120},1,null,null]\n{}`, now)],
    ['absolute-timeout', seal(context, `["id",${now - 43200},${now},1,null,null]\n{}`, now)],
    ['idle-timeout', seal(context, `["id",${now - 2000},${now - 1800},1,null,null]\n{}`, now)],
    ['too-large', 'A'.repeat(5000)],
  ]
  for (const [reason, value] of bad) {
    browser.session = value
    const answer = await browser.fetch('/read')
    t.match(answer, { statusCode: 200, body: '{"isNew":true}', setCookie: { length: 0 } }, `${reason}: ${value.slice(0, 20)}`)
    const last = refusals.at(-1)!
    t.match(last, { reason, cookieName: '__Host-session', request: { url: '/read' } })
    t.match(log.findLast(line => line.code === 'FST_KEEP_SECURE_SESSION_REFUSED'), { level: 30, reason })
    t.notMatch(JSON.stringify(log), value)
  }
  t.equal(refusals.length, bad.length)
})

test('a good cookie, none, and an empty one are no refusals', overHttps, async t => {
  const refusals = refusalsOf(t)
  const { browser } = await started(t)
  await browser.fetch('/read')
  await browser.fetch('/write')
  await browser.fetch('/read')
  browser.session = ''
  await browser.fetch('/read')
  t.same(refusals, [])
})

test('a bad cookie is not looked at on a route that does not use the session', overHttps, async t => {
  const refusals = refusalsOf(t)
  const { browser } = await started(t)
  browser.session = 'nonsense'
  await browser.fetch('/untouched')
  t.same(refusals, [])
})

test('a write after a refusal begins a session of its own', overHttps, async t => {
  const { browser } = await started(t)
  browser.session = 'nonsense'
  await browser.fetch('/write')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","isNew":false}')
})

test('the cookie of one application is refused by another with the same keys', overHttps, async t => {
  const refusals = refusalsOf(t)
  const { browser: shop } = await started(t, { keys: [key], application: 'shop' })
  const { browser: office } = await started(t, { keys: [key], application: 'office' })
  await shop.fetch('/write')
  office.session = shop.session
  t.equal((await office.fetch('/read')).body, '{"isNew":true}')
  t.equal(refusals.at(-1)?.reason, 'tampered')
})

test('when its key is removed from the ring a session has ended', overHttps, async t => {
  const { browser: before } = await started(t)
  const { browser: after } = await started(t, { keys: [generateKey()] })
  await before.fetch('/write')
  after.session = before.session
  t.equal((await after.fetch('/read')).body, '{"isNew":true}')
})
