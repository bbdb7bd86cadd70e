import { test, type Test } from 'tap'
import { type FastifyInstance } from 'fastify'
import { EndedSessions } from '../../packages/secure-session/src/sealed/ended-sessions.js'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { agedCookie } from './cookies.ts'
import { Browser, httpsApp, key, overHttps } from './https-app.ts'

async function started (t: Test): Promise<{ app: FastifyInstance, browser: Browser, held: (count: number) => Promise<void>, release: () => void }> {
  const { app } = await httpsApp(t, { keys: [key], csrf: false })
  let waiting: Array<() => void> = []
  let arrived = (): void => {}
  const hold = async (): Promise<void> => await new Promise(resolve => { waiting.push(resolve); arrived() })
  app.get('/read', async ({ session }) => session.data())
  app.get('/write', async ({ session }) => { session.visits = 1; return '' })
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  app.get('/regenerate', async ({ session }) => { session.regenerate(['user']); return '' })
  app.get('/update', async ({ session }) => { await session.update(data => { data.visits = 1 }); return '' })
  app.get('/slow/read', async ({ session }) => { const { user } = session; await hold(); return user })
  app.get('/slow/write', async ({ session }) => { const { user } = session; await hold(); session.note = user; return '' })
  return {
    app,
    browser: await Browser.of(t, app),
    async held (count) { while (waiting.length < count) await new Promise<void>(resolve => { arrived = resolve }) },
    release () { for (const resolve of waiting) resolve(); waiting = [] },
  }
}

test('a renewal is dropped where another request has written the session meanwhile', overHttps, async t => {
  const { browser, held, release } = await started(t)
  browser.session = agedCookie(5000, 1000)
  const slow = browser.fetch('/slow/read')
  await held(1)
  await browser.fetch('/write')
  release()
  t.same((await slow).setCookie, [])
  t.equal((await browser.fetch('/read')).body, '{"user":"ada","visits":1}')
})

test('a renewal of which nobody knows better is sent', overHttps, async t => {
  const { browser, held, release } = await started(t)
  browser.session = agedCookie(5000, 1000)
  const slow = browser.fetch('/slow/read')
  await held(1)
  release()
  t.equal((await slow).setCookie.length, 1)
})

test('neither a renewal nor a write brings back a session that was ended or regenerated meanwhile', overHttps, async t => {
  for (const path of ['/logout', '/regenerate']) {
    const { app, browser, held, release } = await started(t)
    browser.session = agedCookie(5000, 1000)
    const slow = [browser.fetch('/slow/read'), browser.fetch('/slow/write')]
    await held(2)
    await browser.fetch(path)
    const after = browser.session
    release()
    for (const answer of await Promise.all(slow)) t.same(answer.setCookie, [], path)
    t.equal(browser.session, after)
    t.equal(app.sessions.counts.dropped, 1, 'the write is counted as dropped')
  }
})

test('after a regenerate() the former cookie is good for a moment, and for nothing after it', overHttps, async t => {
  const { browser } = await started(t)
  browser.session = agedCookie(100, 10)
  const former = browser.session
  await browser.fetch('/regenerate')
  const late = new Browser(browser.origin)
  late.session = former
  t.equal(browser.session === former, false)
  const ended = new EndedSessions(10)
  const now = currentSecond()
  ended.end('id', { from: now + 5, until: now + 100 })
  t.same([ended.isEnded('id', now + 4), ended.isEnded('id', now + 5), ended.isEnding('id')], [false, true, true])
})

test('update() is refused, because two sealed cookies cannot be merged', overHttps, async t => {
  const { browser } = await started(t)
  t.equal((await browser.fetch('/update')).statusCode, 200, 'on a new session nobody else is there')
  const answer = await browser.fetch('/update')
  t.match(JSON.parse(answer.body), { statusCode: 500, code: 'FST_KEEP_SECURE_SESSION_UPDATE_REFUSED' })
})

test('the list of ended sessions is bounded, drops first what has expired, and says when it had to forget an end that counts', async t => {
  const now = currentSecond()
  const ended = new EndedSessions(3)
  t.equal(ended.end('old', { from: now - 10, until: now - 1 }), true)
  for (const id of ['a', 'b', 'c']) t.equal(ended.end(id, { from: now, until: now + 100 }), true)
  t.equal(ended.isEnded('old', now), false)
  t.equal(ended.end('d', { from: now, until: now + 100 }), false)
  t.same(['a', 'b', 'c', 'd'].map(id => ended.isEnded(id, now)), [false, true, true, true])
  t.equal(ended.size, 3)
})
