import { test } from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { connections, deferred, frame, nextText, open, received, refusal, sendHandshake, serve } from './server-under-test.js'

const sessions: Record<string, string> = { 'session=a': 'ada', 'session=g': 'grace' }
const sessionOf = (request: FastifyRequest) => request.getDecorator<{ name: string } | null>('visitor')

/** What a session plugin does: the session is there from onRequest on, registered after the sockets on purpose. */
function withSessions (app: FastifyInstance): void {
  app.decorateRequest('visitor', null)
  app.addHook('onRequest', async request => {
    const name = sessions[request.headers.cookie ?? '']
    request.setDecorator('visitor', name === undefined ? null : { name })
  })
}

test('what authenticate returns is the peer of the socket, and the session is at hand in both', async t => {
  const server = await serve(t, { authenticate: request => sessionOf(request) }, app => {
    withSessions(app)
    app.get('/', { websocket: true }, (socket, request) => {
      socket.send(JSON.stringify([socket.peer, sessionOf(request)]))
    })
  })
  for (const [Cookie, name] of Object.entries(sessions)) {
    const client = sendHandshake(server.port, '/', { Origin: server.origin, Cookie })
    t.teardown(() => client.destroy())
    t.match(await received(client, /\}\]/), `[{"name":"${name}"},{"name":"${name}"}]`)
  }
  const { status, body } = await refusal(server.port, '/', { Origin: server.origin, Cookie: 'session=none' })
  t.equal(status, 401)
  t.equal(JSON.parse(body).code, 'FST_KEEP_WEBSOCKET_NOT_AUTHENTICATED')
})

test('nothing, late or at once, is a refusal', async t => {
  const answers: Record<string, unknown> = { '/?null': null, '/?undefined': undefined, '/?false': false, '/?empty': '', '/?late': Promise.resolve(null) }
  const server = await serve(t, { authenticate: request => answers[request.url] }, app => { app.get('/', { websocket: true }, () => {}) })
  for (const path of Object.keys(answers)) t.equal((await refusal(server.port, path, { Origin: server.origin })).status, 401, path)
})

test('an error is answered 401 and not told, a 4xx of its own is kept', async t => {
  const errors: Record<string, () => unknown> = {
    '/?sync': () => { throw new Error('secret of the database') },
    '/?late': async () => { throw new Error('secret of the database') },
    '/?5xx': () => { throw Object.assign(new Error('secret of the database'), { statusCode: 500 }) },
    '/?4xx': () => { throw Object.assign(new Error('slow down'), { statusCode: 429 }) },
    // eslint-disable-next-line no-throw-literal
    '/?odd': () => { throw undefined },
  }
  const server = await serve(t, { authenticate: request => errors[request.url]?.() }, app => { app.get('/', { websocket: true }, () => {}) })
  for (const path of ['/?sync', '/?late', '/?5xx', '/?odd']) {
    const { status, body } = await refusal(server.port, path, { Origin: server.origin })
    t.equal(status, 401, path)
    t.notMatch(body, /secret/)
  }
  t.match(await refusal(server.port, '/?4xx', { Origin: server.origin }), { status: 429, body: /slow down/ })
  t.equal(server.log.filter(line => line.code === 'FST_KEEP_WEBSOCKET_AUTHENTICATE_FAILED').length, 4, 'the failure is in the log')
})

test('a page of a foreign origin is refused before it is asked who it is', async t => {
  let calls = 0
  const server = await serve(t, { authenticate: () => { calls++; return true } }, app => { app.get('/', { websocket: true }, () => {}) })
  t.equal((await refusal(server.port, '/', { Origin: 'http://evil.example' })).status, 403)
  t.equal(calls, 0)
})

test('a route may authenticate in its own way, or not at all', async t => {
  const server = await serve(t, { authenticate: () => 'from the plugin' }, app => {
    const tell = (socket: { peer: unknown, send: (text: string) => void }) => { socket.send(String(socket.peer)) }
    app.get('/plugin', { websocket: true }, tell)
    app.get('/route', { websocket: { authenticate: () => 'from the route' } }, tell)
    app.get('/public', { websocket: { authenticate: false } }, tell)
  })
  for (const [path, expected] of [['/plugin', /from the plugin/], ['/route', /from the route/], ['/public', /undefined/]] as const) {
    const client = sendHandshake(server.port, path, { Origin: server.origin })
    t.teardown(() => client.destroy())
    t.match(await received(client, expected), expected, path)
  }
  t.equal((await refusal(server.port, '/public')).status, 403, 'without Origin and without authenticate')
})

test('what the client sends while it is being authenticated is not lost', async t => {
  const asked = deferred<void>()
  const answer = deferred<string>()
  const server = await serve(t, { authenticate: () => { asked.resolve(); return answer.promise } }, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(`got ${String(data)}`)) })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  t.teardown(() => client.destroy())
  client.write(frame(1, 'early'))
  await asked.promise
  answer.resolve('ada')
  t.match(await received(client, /got early/), /^HTTP\/1.1 101 /)
})

test('a client that leaves while it is being authenticated reaches no handler', async t => {
  const asked = deferred<void>()
  const answer = deferred<string>()
  let calls = 0
  const server = await serve(t, { authenticate: () => { asked.resolve(); return answer.promise } }, app => {
    app.get('/', { websocket: true }, () => { calls++ })
  })
  const client = sendHandshake(server.port, '/', { Origin: server.origin })
  await asked.promise
  client.resetAndDestroy()
  await connections(server.app, 0)
  answer.resolve('ada')
  await server.app.close()
  t.equal(calls, 0)
})

test('a peer is told apart from another on the same route', async t => {
  const server = await serve(t, { authenticate: request => request.headers.authorization }, app => {
    app.get('/', { websocket: true }, socket => { socket.on('message', () => socket.send(String(socket.peer))) })
  })
  const clients = await Promise.all(['ada', 'grace'].map(authorization => open(t, server, '/', { headers: { authorization } })))
  const answers = clients.map(client => nextText(client))
  for (const client of clients) client.send('who am I?')
  t.same(await Promise.all(answers), ['ada', 'grace'])
})
