import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import websocket from '@fastify/websocket'
import { test, type Test } from 'tap'
import { WebSocket } from 'ws'
import { once } from 'node:events'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { MemoryStore, type Session, type SessionEvent } from '@fastkeep/secure-session'
import { agedCookie, lifetimes } from './cookies.ts'
import { Browser, httpApp, key } from './https-app.ts'
import { STORES } from './stores.ts'
import { EndWatch } from '../../packages/secure-session/src/end-watch.js'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { type SessionMode } from '../../packages/secure-session/src/mode.js'

const EVENTS = ['created', 'loaded', 'renewed', 'regenerated', 'destroyed', 'refused']

function eventsOf (t: Test): Array<[string, SessionEvent]> {
  const events: Array<[string, SessionEvent]> = []
  for (const name of EVENTS) {
    const listener = (message: unknown): void => { events.push([name, message as SessionEvent]) }
    subscribe(`fastkeep:secure-session:${name}`, listener)
    t.teardown(() => unsubscribe(`fastkeep:secure-session:${name}`, listener))
  }
  return events
}

for (const [mode, more] of [['sealed cookie', {}], ['store', { store: new MemoryStore() }]] as const) {
  test(`${mode}: each thing that happens to a session is told and counted`, async t => {
    const events = eventsOf(t)
    const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, ...more })
    app.get('/begin', async ({ session }) => { session.user = 'ada'; return '' })
    app.get('/read', async ({ session }) => session.user)
    app.get('/login', async ({ session }) => { session.login('ada'); return '' })
    app.get('/logout', async ({ session }) => { session.destroy(); return '' })
    const browser = await Browser.of(t, app)
    for (const path of ['/begin', '/read', '/login']) await browser.fetch(path)
    const copied = browser.cookies.get('session')!
    await browser.fetch('/logout')
    browser.cookies.set('session', copied)
    await browser.fetch('/read')
    t.same(events.map(([name]) => name), ['created', 'loaded', 'loaded', 'regenerated', 'loaded', 'destroyed', 'refused'])
    t.match(events[3], ['regenerated', { name: 'session', subject: 'ada', handle: /^[\w-]{43}$/, request: { url: '/login' } }])
    t.match(events[6], ['refused', { reason: mode === 'store' ? 'unknown-session' : 'ended' }])
    t.equal(events[5]![1].handle, events[4]![1].handle)
    t.notMatch(JSON.stringify(events.map(([, { handle }]) => handle)), copied.slice(0, 20))
    t.match(app.sessions.counts, { created: 1, loaded: 3, regenerated: 1, destroyed: 1, refused: { [mode === 'store' ? 'unknown-session' : 'ended']: 1 } })
  })
}

test('a renewal is told', async t => {
  const events = eventsOf(t)
  const { app } = await httpApp(t, { keys: [key], ...lifetimes }, true)
  app.get('/read', async ({ session }) => session.user)
  const browser = await Browser.of(t, app)
  browser.session = agedCookie(1000, 901)
  await browser.fetch('/read', 'GET', { 'x-forwarded-proto': 'https' })
  t.same(events.map(([name]) => name), ['loaded', 'renewed'])
})

for (const { name, skip, make } of [...STORES, { name: 'sealed cookie', skip: false as const, make: async () => undefined }]) {
  test(`${name}: a WebSocket is told when its session ends, and reads it until then`, { skip }, async t => {
    const store = await make(t)
    const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, ...store && { store } })
    await app.register(websocket)
    app.get('/login', async ({ session }) => { session.login('ada'); session.user = 'ada'; return '' })
    app.get('/logout', async ({ session }) => { session.destroy(); return '' })
    await app.register(async scope => {
      scope.get('/socket', { websocket: true } as object, ((socket: WebSocket, { session }: { session: Session }) => {
        const forget = session.onEnd(reason => socket.close(4401, reason))
        socket.on('close', forget)
        socket.send(String(session.user))
      }) as never)
    })
    const browser = await Browser.of(t, app)
    await browser.fetch('/login')
    const socket = new WebSocket(`${browser.origin.replace('http', 'ws')}/socket`, { headers: { cookie: `session=${browser.cookies.get('session')}` } })
    t.teardown(() => socket.terminate())
    const [message] = await once(socket, 'message') as [Buffer]
    t.equal(String(message), 'ada')
    const closed = once(socket, 'close')
    await browser.fetch('/logout')
    const [code, reason] = await closed as [number, Buffer]
    t.equal(code, 4401)
    t.equal(String(reason), 'destroyed')
  })
}

test('sockets of a subject are told when all sessions of the subject are ended', async t => {
  const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, store: new MemoryStore() })
  const told: string[] = []
  app.get('/login', async ({ session }) => { session.login('ada'); return '' })
  app.get('/wait', async ({ session }) => { session.onEnd(reason => told.push(reason)); return '' })
  const browser = await Browser.of(t, app)
  await browser.fetch('/login')
  await browser.fetch('/wait')
  const events = eventsOf(t)
  const [listed] = await app.sessions.list('ada')
  await app.sessions.destroyAll('ada')
  t.same(told, ['destroyed'])
  t.match(events, [['destroyed', { subject: 'ada', handle: listed!.handle, request: undefined }]])
})

test('a session that gives way to a login over maxPerSubject is told of like any that ends', async t => {
  const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, store: new MemoryStore(), maxPerSubject: 1 })
  const told: string[] = []
  app.get('/login', async ({ session }) => { session.login('ada'); return '' })
  app.get('/wait', async ({ session }) => { session.onEnd(reason => told.push(reason)); return '' })
  const browser = await Browser.of(t, app)
  await browser.fetch('/login')
  await browser.fetch('/wait')
  const [listed] = await app.sessions.list('ada')
  const events = eventsOf(t)
  await new Browser(browser.origin).fetch('/login')
  t.same(told, ['destroyed'])
  t.match(events.filter(([name]) => name === 'destroyed'), [['destroyed', { handle: listed!.handle, subject: 'ada', request: { url: '/login' } }]])
})

test('a listener that fails is logged, and keeps neither the others nor the process from going on', async t => {
  const { app, log } = await httpApp(t, { keys: [key], development: true, csrf: false, store: new MemoryStore() })
  const told: string[] = []
  app.get('/login', async ({ session }) => { session.login('ada'); return '' })
  app.get('/wait', async ({ session }) => {
    session.onEnd(() => { throw new Error('reason too long') })
    session.onEnd(reason => told.push(reason))
    return ''
  })
  const browser = await Browser.of(t, app)
  await browser.fetch('/login')
  await browser.fetch('/wait')
  await app.sessions.destroyAll('ada')
  await setImmediate()
  t.same(told, ['destroyed'])
  t.match(log.find(({ code }) => code === 'FST_KEEP_SECURE_SESSION_LISTENER_FAILED'), { level: 50, err: { message: 'reason too long' } })
})

test('a store that is slow to answer is not asked again about sockets before it has', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  let questions = 0
  const mode = { isAlive: async () => { questions++; return await new Promise<boolean>(() => {}) }, handleOf: (id: string) => id } as unknown as SessionMode
  const watch = new EndWatch(mode, 1000, (await httpApp(t)).app.log)
  const now = currentSecond()
  for (const id of ['a', 'b']) watch.add({ id, createdAt: now, renewedAt: now }, undefined, () => {})
  mock.timers.tick(60_000)
  t.equal(questions, 2)
  watch.close()
})
