import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { generateKey } from '@fastkeep/secure-session'
import { cookieIn } from '../../packages/secure-session/src/cookie-header.js'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { createKeyRing } from '../../packages/secure-session/src/sealed/key-ring.js'
import { SealedCookies } from '../../packages/secure-session/src/sealed/sealed-cookies.js'
import { Browser, httpApp, key } from './https-app.ts'
import { lifetimes } from './cookies.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

function cookiesWith (cacheBytes: number): SealedCookies {
  return new SealedCookies({ ring: createKeyRing([Buffer.from(key, 'base64')]), cookieName: 'session', application: '', purpose: 'session', cacheBytes, longestValue: 4000, ...lifetimes })
}

const content = (id: string, renewedAt: number) => ({ record: { id, createdAt: renewedAt, renewedAt }, sealedAt: renewedAt * 1000, data: '{"user":"ada"}' })

test('a cookie is opened once, and what is kept of it cannot be changed', async t => {
  const cookies = cookiesWith(100_000)
  const now = currentSecond()
  const value = cookies.seal(content('id', now), now)
  const first = cookies.open(value, now)
  t.equal(cookies.open(value, now), first)
  t.ok(Object.isFrozen(first))
  t.equal(cookies.cache.size, 1)
})

test('each request has a copy of its own', async t => {
  const { app } = await httpApp(t, { keys: [key], development: true })
  app.get('/begin', async ({ session }) => { session.cart = { items: [] }; return '' })
  app.get('/spoil', async ({ session }, reply) => { session.cart!.items.push('tea'); reply.hijack(); reply.raw.end(String(session.cart!.items.length)) })
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  t.same([(await browser.fetch('/spoil')).body, (await browser.fetch('/spoil')).body], ['1', '1'])
})

test('an entry ends with the session\'s idle and absolute time', async t => {
  const cookies = cookiesWith(100_000)
  const now = currentSecond()
  const value = cookies.seal(content('id', now), now)
  cookies.open(value, now)
  t.same(cookies.open(value, now + 1800), { refused: 'idle-timeout' })
  t.equal(cookies.cache.size, 0)
})

test('what is kept of a cookie does not keep the header that it came in', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const cookies = cookiesWith(1_000_000)
  const now = currentSecond()
  const used = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  for (let index = 0; index < 20; index++) {
    const header = `other=${'x'.repeat(1_000_000)}; session=${cookies.seal(content(`id${index}`, now), now)}`
    cookies.open(cookieIn(header, 'session=')!, now)
  }
  t.ok(used() - before < 5_000_000)
  t.equal(cookies.cache.size, 20)
})

test('the cache is bounded in bytes, and what was used least recently goes first', async t => {
  const cookies = cookiesWith(4000)
  const now = currentSecond()
  const values = Array.from({ length: 50 }, (_, index) => cookies.seal(content(`id${index}`, now), now))
  cookies.open(values[0]!, now)
  for (const value of values.slice(1)) {
    cookies.open(value, now)
    cookies.open(values[0]!, now)
  }
  t.ok(cookies.cache.bytes <= 4000)
  t.ok(cookies.cache.size >= 2 && cookies.cache.size < 10)
  const before = cookies.cache.size
  cookies.open(values[0]!, now)
  t.equal(cookies.cache.size, before, 'the one used all the time is still there')
})

test('when a key leaves the ring its sessions have ended at once, cached or not, and the new key counts', async t => {
  const [first, second] = [generateKey(), generateKey()]
  const keyFile = join(t.testdir(), 'keys')
  writeFileSync(keyFile, first, { mode: 0o600 })
  const { app } = await httpApp(t, { keyFile, development: true })
  app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => ({ user: session.user }))
  const told: string[] = []
  app.get('/wait', async ({ session }) => { session.onEnd(reason => told.push(reason)); return '' })
  const browser = await Browser.of(t, app)
  await browser.fetch('/begin')
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}')
  writeFileSync(keyFile, `${second}\n${first}`)
  app.sessions.reloadKeys()
  t.equal(app.sessions.describe().keys, 2)
  const resealed = await browser.fetch('/read')
  t.equal(resealed.setCookie.length, 1, 'sealed anew with the new key')
  await browser.fetch('/wait')
  writeFileSync(keyFile, second)
  app.sessions.reloadKeys()
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}')
  writeFileSync(keyFile, 'nonsense')
  t.throws(() => app.sessions.reloadKeys(), { code: 'FST_KEEP_SECURE_SESSION_KEY_INVALID' })
  t.equal((await browser.fetch('/read')).body, '{"user":"ada"}', 'a spoiled file changes nothing')
  writeFileSync(keyFile, generateKey())
  t.same(told, [])
  app.sessions.reloadKeys()
  t.equal((await browser.fetch('/read')).body, '{}')
  t.same(told, ['ended'], 'its sockets are told')
})
