import { once } from 'node:events'
import websocket from '@fastify/websocket'
import { type FastifyRequest } from 'fastify'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { Browser, ca, httpsApp, overHttps } from './https-app.ts'

test('a route with session: false refuses its use and sends no cookie', overHttps, async t => {
  const { app } = await httpsApp(t)
  app.get('/off', { session: false }, async ({ session }) => session.user)
  app.get('/on', { session: true }, async ({ session }) => { session.user = 'ada'; return '' })
  const browser = await Browser.of(t, app)
  for (const method of ['GET', 'HEAD'] as const) t.match(await browser.fetch('/off', method), { statusCode: 500, setCookie: { length: 0 } })
  t.match(JSON.parse((await browser.fetch('/off')).body), { code: 'FST_KEEP_SECURE_SESSION_ROUTE_OFF' })
  t.equal((await browser.fetch('/on')).setCookie.length, 1)
})

test('a WebSocket handler reads the session of its handshake and cannot change it', overHttps, async t => {
  const { app } = await httpsApp(t)
  await app.register(websocket)
  app.get('/write', async ({ session }) => { session.user = 'ada'; return '' })
  await app.register(async scope => {
    const handler = (socket: WebSocket, request: FastifyRequest): void => {
      try {
        request.session.visits = 1
      } catch (error) {
        socket.send(JSON.stringify({ user: request.session.user, code: (error as { code: string }).code }))
      }
    }
    scope.get('/socket', { websocket: true } as object, handler as never)
  })
  const browser = await Browser.of(t, app)
  await browser.fetch('/write')
  const socket = new WebSocket(`${browser.origin.replace('https', 'wss')}/socket`, { ca, headers: { cookie: `__Host-session=${browser.session}` } })
  t.teardown(() => socket.terminate())
  const [message] = await once(socket, 'message') as [Buffer]
  t.same(JSON.parse(String(message)), { user: 'ada', code: 'FST_KEEP_SECURE_SESSION_ALREADY_SENT' })
})
