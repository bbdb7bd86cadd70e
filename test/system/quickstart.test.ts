import { readFileSync } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import { test, type Test } from 'tap'
import { runNode, type Child } from '../child.js'
import { needs, pathOf } from '../programs.js'
import { nextMessage, refusal, Visitor } from './visitor.js'

const start = new URL('../../scripts/start.js', import.meta.url)

interface Quickstart {
  child: Child
  origin: string
  ca: string
}

async function quickstart (t: Test): Promise<Quickstart> {
  const child = runNode(t, start, { PORT: '0' })
  const [, origin, ca] = await child.match(/Open {3}(https:\/\/localhost:\d+)\n {2}Trust {2}(.*) {3}\(until/) as unknown as [string, string, string]
  return { child, origin, ca: readFileSync(ca, 'utf8') }
}

async function loggedIn (name: string, { origin, ca }: Quickstart): Promise<Visitor> {
  const visitor = new Visitor(origin, ca)
  await visitor.post('/login', { user: name })
  return visitor
}

test('npm start\'s server prints where it is, whom to trust and how to stop it', async t => {
  const { child } = await quickstart(t)
  await child.match(/Stop {3}Ctrl-C/)
})

test('a log-in is a session in a cookie with every flag, and it survives', async t => {
  const app = await quickstart(t)
  const visitor = new Visitor(app.origin, app.ca)
  t.match(await visitor.get('/'), { status: 200, body: /Log in/ })
  t.equal(visitor.cookie, undefined, 'a visitor who does nothing gets no cookie')
  const answer = await visitor.post('/login', { user: 'Ada' })
  t.match(answer, { status: 303, headers: { location: '/chat' } })
  const [cookie] = answer.headers['set-cookie'] as [string]
  t.match(cookie, /^__Host-session=[\w-]+; Path=\/; (?:.*)HttpOnly/)
  t.match(cookie, /; Secure/)
  t.match(cookie, /; SameSite=Lax/)
  t.notMatch(cookie, /Domain/i)
  for (let visit = 0; visit < 2; visit++) t.match(await visitor.get('/chat'), { status: 200, body: /You are <b>Ada<\/b>/ })
})

test('logging in renews the session, logging out ends it', async t => {
  const app = await quickstart(t)
  const visitor = await loggedIn('Ada', app)
  const first = visitor.cookie
  await visitor.post('/login', { user: 'Ada' })
  t.not(visitor.cookie, first)
  t.match(await visitor.post('/logout'), { status: 303 })
  t.equal(visitor.cookie, undefined)
  t.match(await visitor.get('/chat'), { status: 303, headers: { location: '/' } })
})

test('a name is shown as text, whatever it holds, and an empty one is refused', async t => {
  const app = await quickstart(t)
  const visitor = await loggedIn('<script>1</script>', app)
  const { body } = await visitor.get('/chat')
  t.notMatch(body, '<script>1')
  t.match(body, '&#60;script&#62;1')
  t.match(await new Visitor(app.origin, app.ca).post('/login', { user: ' ' }), { status: 400 })
})

test('every answer has the security headers: pages, redirects, errors', async t => {
  const { origin, ca } = await quickstart(t)
  const visitor = new Visitor(origin, ca)
  const ofAll = { 'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/, 'x-content-type-options': 'nosniff' }
  const ofPages = { 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cross-origin-opener-policy': 'same-origin' }
  for (const path of ['/', '/chat', '/nowhere']) {
    const { headers } = await visitor.get(path)
    t.match(headers, path === '/nowhere' ? { ...ofAll, 'cache-control': 'no-store' } : { ...ofAll, ...ofPages }, path)
    t.equal(headers['strict-transport-security'], undefined, 'never for localhost: it would bind every other project of its user')
    t.equal(headers.server, undefined)
  }
})

test('the server tells what it sees of the visitor\'s own connection', async t => {
  const { origin, ca } = await quickstart(t)
  t.match(await new Visitor(origin, ca).get('/connection'), { status: 200, body: /<th>protocol<td>TLSv1\.3/ })
})

/** What the page's client does: it subscribes, and asks who is here. */
async function joined (visitor: Visitor): Promise<WebSocket> {
  const socket = visitor.socket('/socket')
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'keep.subscribe', id: 1, data: { topic: 'chat' } }))
  await nextMessage(socket)
  socket.send(JSON.stringify({ type: 'chat.here' }))
  return socket
}

const published = (data: object) => ({ type: 'keep.topic', topic: 'chat', data })

test('two who have logged in chat with each other', async t => {
  const app = await quickstart(t)
  const ada = await joined(await loggedIn('Ada', app))
  t.same(await nextMessage(ada), published({ here: ['Ada'] }))
  const grace = await joined(await loggedIn('Grace', app))
  t.same(await nextMessage(ada), published({ here: ['Ada', 'Grace'] }))
  grace.send(JSON.stringify({ type: 'chat.say', data: { text: 'hello' } }))
  t.same(await nextMessage(ada), published({ from: 'Grace', text: 'hello' }))
  grace.close()
  t.same(await nextMessage(ada), published({ here: ['Ada'] }))
})

test('logging out closes the sockets that were opened with the session', async t => {
  const app = await quickstart(t)
  const visitor = await loggedIn('Ada', app)
  const closed = once(await joined(visitor), 'close')
  await visitor.post('/logout')
  t.equal((await closed)[0], 4401)
})

test('a foreign origin is refused with 403, no session with 401', async t => {
  const app = await quickstart(t)
  const ada = await loggedIn('Ada', app)
  t.equal(await refusal(ada.socket('/socket', 'https://evil.example')), 403)
  t.equal(await refusal(ada.socket('/socket', `${app.origin}.evil.example`)), 403)
  t.equal(await refusal(new Visitor(app.origin, app.ca).socket('/socket')), 401)
})

test('SIGTERM ends it with code 0, tells the sockets, and frees the port', async t => {
  const app = await quickstart(t)
  const closed = once(await joined(await loggedIn('Ada', app)), 'close')
  app.child.kill('SIGTERM')
  t.equal((await closed)[0], 1001)
  t.same(await app.child.ended, { code: 0, signal: null })
  await t.rejects(once(net.connect(Number(new URL(app.origin).port), '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
})

const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

async function browser (t: Test): Promise<() => Promise<{ page: Page, context: BrowserContext, complaints: string[] }>> {
  const instance = await chromium.launch({ executablePath: pathOf('chromium') as string, args: CHROMIUM_FLAGS })
  t.teardown(() => instance.close())
  return async () => {
    const context = await instance.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', message => { if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text()) })
    page.on('pageerror', error => complaints.push(error.message))
    return { page, context, complaints }
  }
}

async function enter (page: Page, origin: string, name: string): Promise<void> {
  await page.goto(origin)
  await page.getByLabel('Your name').fill(name)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText(`You are ${name}`).waitFor()
}

test('in a browser: log in, chat from page to page, with nothing to complain about in the console', { skip: needs('chromium') }, async t => {
  const app = await quickstart(t)
  const visit = await browser(t)
  const ada = await visit()
  const grace = await visit()
  await enter(ada.page, app.origin, 'Ada')
  await enter(grace.page, app.origin, 'Grace')
  await ada.page.getByText('Ada, Grace').waitFor()
  await ada.page.getByLabel('Message').fill('Can you <b>read</b> this?')
  await ada.page.getByRole('button', { name: 'Send' }).click()
  await grace.page.getByText('Ada Can you <b>read</b> this?').waitFor()
  await ada.page.getByRole('link', { name: 'Your connection' }).click()
  await ada.page.getByRole('cell', { name: 'content-security-policy' }).waitFor()
  await ada.page.getByRole('button', { name: 'Log out' }).click()
  await ada.page.getByLabel('Your name').waitFor()
  t.same(ada.complaints, [])
  t.same(grace.complaints, [])

  app.child.kill('SIGTERM')
  t.same(await app.child.ended, { code: 0, signal: null }, 'the connections that a browser keeps open do not hold the stop')
})

test('in a browser: an injected inline script or handler does not run, and the cookie is out of reach', { skip: needs('chromium') }, async t => {
  const app = await quickstart(t)
  const { page, context, complaints } = await (await browser(t))()
  await enter(page, app.origin, 'Ada')
  await page.evaluate(`
    const script = document.createElement('script')
    script.textContent = 'document.title = "script ran"'
    document.body.append(script)
    document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="document.title = \\'handler ran\\'">')
    new Promise(resolve => document.images[0].complete ? resolve() : document.images[0].addEventListener('error', resolve))`)
  t.equal(await page.title(), 'Chat · Fastkeep')
  t.ok(complaints.some(text => /Content Security Policy/.test(text)), 'the browser says that it refused')
  t.equal(await page.evaluate('document.cookie'), '')
  t.match(await context.cookies(), [{ name: '__Host-session', httpOnly: true, secure: true, sameSite: 'Lax', path: '/' }])
})
