import { once } from 'node:events'
import { test, type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import secureSession, { generateKey, MemoryStore } from '@fastkeep/secure-session'
import { WebSocket } from 'ws'
import type { WebSocketRouteOptions } from '@fastkeep/websocket'
import { closing, serve, type ServerUnderTest } from './server-under-test.js'

interface Service extends ServerUnderTest {
  /** A new session for this user; the cookie of it. */
  login (user: string): Promise<string>
}

async function service (t: Test, store?: MemoryStore, session?: 'lazy', route: WebSocketRouteOptions = {}): Promise<Service> {
  const server = await serve(t, {}, app => {
    app.get('/login/:user', async ({ session, params }) => { session.login((params as { user: string }).user); return '' })
    app.get('/logout', async ({ session }) => { session.destroy(); return '' })
    app.get('/socket', { ...session && { session }, websocket: route }, socket => { socket.send('open') })
  }, {}, (app: FastifyInstance) => {
    app.register(secureSession, { keys: [generateKey()], development: true, csrf: false, ...store && { store } })
  })
  return {
    ...server,
    login: async user => (await fetch(`${server.origin}/login/${user}`)).headers.getSetCookie()[0]?.split(';')[0] ?? '',
  }
}

async function opened (t: Test, server: Service, cookie = ''): Promise<WebSocket> {
  const client = new WebSocket(`ws://${server.host}/socket`, { origin: server.origin, headers: { cookie } })
  t.teardown(() => client.terminate())
  await once(client, 'message')
  return client
}

for (const [kind, store] of [['sealed', undefined], ['stored', new MemoryStore()]] as const) {
  test(`the sockets of a ${kind} session that ends are closed with 4401, those of others stay`, async t => {
    const server = await service(t, store)
    const [ada, grace] = [await server.login('ada'), await server.login('grace')]
    const clients = await Promise.all([opened(t, server, ada), opened(t, server, ada)])
    const other = await opened(t, server, grace)
    const stranger = await opened(t, server)
    const ends = Promise.all(clients.map(closing))
    await fetch(`${server.origin}/logout`, { headers: { cookie: ada } })
    const end = { code: 4401, reason: 'session ended' }
    t.same(await ends, [end, end])
    t.same([other.readyState, stranger.readyState], [WebSocket.OPEN, WebSocket.OPEN])
    t.match(server.log.filter(({ code }) => code === 'FST_KEEP_WEBSOCKET_SESSION_ENDED'), [{ level: 30, reason: 'destroyed' }, { closeCode: 4401 }])
  })
}

test('all sessions of a user can be ended, and their sockets go with them', async t => {
  const server = await service(t, new MemoryStore())
  const client = await opened(t, server, await server.login('ada'))
  const end = closing(client)
  await server.app.sessions.destroyAll('ada')
  t.match(await end, { code: 4401 })
})

test('a session that the route has not loaded binds no socket, one that authenticate has loaded does', async t => {
  const lazy = await service(t, undefined, 'lazy')
  t.equal((await opened(t, lazy, await lazy.login('ada'))).readyState, WebSocket.OPEN)

  const loading = await service(t, undefined, 'lazy', { authenticate: async ({ session }) => { await session.load(); return session.subject } })
  const cookie = await loading.login('ada')
  const end = closing(await opened(t, loading, cookie))
  await fetch(`${loading.origin}/logout`, { headers: { cookie } })
  t.match(await end, { code: 4401 })
})

test('a user is known by the session, where authenticate does not say who it is', async t => {
  const server = await service(t, undefined, undefined, { maxConnectionsPerUser: 1 })
  const cookie = await server.login('ada')
  await opened(t, server, cookie)
  const second = new WebSocket(`ws://${server.host}/socket`, { origin: server.origin, headers: { cookie } })
  const [error] = await once(second, 'error')
  t.match(error, { message: /429/ })
  await opened(t, server, await server.login('grace'))
})
