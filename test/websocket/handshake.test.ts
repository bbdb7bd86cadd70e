import { once } from 'node:events'
import { subscribe } from 'node:diagnostics_channel'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { WebSocket } from 'ws'
import { open, nextText, received, refusal, sendHandshake, serve, type HandshakeHeaders } from './server-under-test.js'

const echo = async (t: Test, options = {}, headers: Record<string, string> = {}) => serve(t, options, app => {
  app.addHook('onRequest', async (_request, reply) => { reply.headers(headers) })
  app.get('/echo', { websocket: true }, socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  app.get('/page', async () => 'a page')
  app.post('/form', async () => 'a form')
})

test('a page of the server\'s own origin opens a socket and gets its messages back', async t => {
  const server = await echo(t)
  const client = await open(t, server, '/echo')
  client.send('hello')
  t.equal(await nextText(client), 'hello')
})

test('only the very scheme, host and port of the server are its own origin', async t => {
  const { port, host } = await echo(t)
  const foreign: HandshakeHeaders[] = [
    { Origin: 'http://evil.example' },
    { Origin: `https://${host}` },
    { Origin: `http://127.0.0.1:${port + 1}` },
    { Origin: 'http://127.0.0.1' },
    { Origin: `http://${host}.evil.example` },
    { Origin: `http://evil${host}` },
    { Origin: `http://${host}@evil.example` },
    { Origin: `http://evil.example#${host}` },
    { Origin: `http://${host}/` },
    { Origin: `http://localhost:${port}` },
    { Origin: 'null' },
    { Origin: '' },
    { Origin: host },
    { Origin: [`http://${host}`, 'http://evil.example'] },
    { Origin: [`http://${host}`, `http://${host}`] },
  ]
  for (const headers of foreign) {
    const { status, body } = await refusal(port, '/echo', headers)
    t.equal(status, 403, JSON.stringify(headers.Origin))
    t.equal(JSON.parse(body).code, 'FST_KEEP_WEBSOCKET_ORIGIN_REFUSED')
  }
})

test('a default port and upper case in Host make no other origin', async t => {
  const { port } = await echo(t)
  for (const [host, origin] of [['Chat.Example:80', 'http://chat.example'], ['chat.example', 'http://chat.example'], ['[::1]:80', 'http://[::1]']] as const) {
    const socket = sendHandshake(port, '/echo', { Host: host, Origin: origin })
    t.teardown(() => socket.destroy())
    t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 101 /, host)
  }
})

test('a Host that is more than host and port is nobody\'s origin', async t => {
  const { port } = await echo(t)
  t.equal((await refusal(port, '/echo', { Host: 'evil.example/@127.0.0.1', Origin: 'http://evil.example' })).status, 403)
})

test('behind a proxy that ends TLS the scheme is the proxy\'s, if Fastify trusts it', async t => {
  const headers = { Host: 'chat.example', Origin: 'https://chat.example', 'X-Forwarded-Proto': 'https' }
  const build = (app: FastifyInstance) => { app.get('/', { websocket: true }, () => {}) }
  const trusting = await serve(t, {}, build, { trustProxy: true })
  const socket = sendHandshake(trusting.port, '/', headers)
  t.teardown(() => socket.destroy())
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 101 /)
  const other = await serve(t, {}, build)
  t.equal((await refusal(other.port, '/', headers)).status, 403)
  t.ok(other.log.some(line => line.ownOrigin === 'http://chat.example' && line.origin === 'https://chat.example'), 'the log shows both')
})

test('a client without Origin is refused where nothing authenticates it', async t => {
  const { port } = await echo(t)
  t.equal((await refusal(port, '/echo')).status, 403)
})

test('a client without Origin is let through where it authenticates, and only if it does', async t => {
  const server = await echo(t, { authenticate: (request: { headers: Record<string, unknown> }) => request.headers.authorization === 'Bearer right' && { name: 'meter 7' } })
  const client = await open(t, server, '/echo', { origin: undefined, headers: { authorization: 'Bearer right' } })
  client.send('23 kWh')
  t.equal(await nextText(client), '23 kWh')
  t.equal((await refusal(server.port, '/echo')).status, 401)
})

test('a list of origins lets its entries through and nobody else, not even the server\'s own', async t => {
  const server = await echo(t, { origin: ['https://chat.example', 'http://other.example:8080'] })
  for (const origin of ['https://chat.example', 'http://other.example:8080']) await open(t, server, '/echo', { origin })
  for (const Origin of [server.origin, 'https://chat.example:8443', 'https://sub.chat.example', 'https://chat.example.evil.example', 'null']) {
    t.equal((await refusal(server.port, '/echo', { Origin })).status, 403, Origin)
  }
})

test('a function decides with the header and the request, and only true lets through', async t => {
  const answers: Record<string, unknown> = { '/?yes': true, '/?no': false, '/?late-no': Promise.resolve(false), '/?truthy': 'yes', '/?nothing': undefined }
  const server = await serve(t, { origin: (_origin, request) => answers[request.url] as boolean }, app => {
    app.get('/', { websocket: true }, () => {})
  })
  await open(t, server, '/?yes', { origin: 'chrome-extension://abc' })
  for (const path of ['/?no', '/?late-no', '/?truthy', '/?nothing']) {
    t.equal((await refusal(server.port, path, { Origin: 'https://chat.example' })).status, 403, path)
  }
  t.equal((await refusal(server.port, '/?yes', { Origin: 'null' })).status, 403, 'an opaque origin is not even asked about')
  t.equal((await refusal(server.port, '/?yes', { Origin: ['https://a.example', 'https://b.example'] })).status, 403)
})

test('a function that throws opens no socket', async t => {
  const server = await serve(t, { origin: () => { throw new Error('no database') } }, app => { app.get('/', { websocket: true }, () => {}) })
  t.equal((await refusal(server.port, '/', { Origin: server.origin })).status, 500)
})

test('a refusal is a complete HTTP answer with the headers of other plugins, and ends the connection', async t => {
  const { port, app } = await echo(t, {}, { 'x-content-type-options': 'nosniff' })
  const { status, headers, body } = await refusal(port, '/echo', { Origin: 'http://evil.example' })
  t.equal(status, 403)
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.equal(headers.connection, 'close')
  t.equal(Number(headers['content-length']), Buffer.byteLength(body))
  t.match(JSON.parse(body), { statusCode: 403, error: 'Forbidden', code: 'FST_KEEP_WEBSOCKET_ORIGIN_REFUSED' })
  const count = await new Promise((resolve, reject) => app.server.getConnections((error, n) => error ? reject(error) : resolve(n)))
  t.equal(count, 0, 'no connection is left')
})

test('a version other than 13 is answered 426 with the version to use', async t => {
  const { port, origin } = await echo(t)
  for (const version of ['8', '7', '14', '13, 8', undefined]) {
    const { status, headers, body } = await refusal(port, '/echo', { Origin: origin, 'Sec-WebSocket-Version': version })
    t.equal(status, 426, String(version))
    t.equal(headers['sec-websocket-version'], '13')
    t.equal(headers.upgrade, 'websocket')
    t.equal(JSON.parse(body).code, 'FST_KEEP_WEBSOCKET_VERSION_UNSUPPORTED')
  }
})

test('a malformed handshake is answered 400', async t => {
  const { port, origin } = await echo(t)
  const malformed: HandshakeHeaders[] = [
    { 'Sec-WebSocket-Key': undefined },
    { 'Sec-WebSocket-Key': 'too short' },
    { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZSBpcyBsb25n' },
    { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] },
    { Upgrade: 'h2c' },
  ]
  for (const headers of malformed) {
    const { status, body } = await refusal(port, '/echo', { Origin: origin, ...headers })
    t.equal(status, 400, JSON.stringify(headers))
    t.equal(JSON.parse(body).code, 'FST_KEEP_WEBSOCKET_HANDSHAKE_MALFORMED')
  }
})

test('a handshake in HTTP/1.0 is answered 400', async t => {
  const { port, host, origin } = await echo(t)
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET /echo HTTP/1.0\r\nHost: ${host}\r\nOrigin: ${origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`)
  t.match(await received(socket, /\r\n\r\n/), /^HTTP\/1\.1 400 /)
  socket.destroy()
})

test('a route without a WebSocket handler opens no socket, whatever the method', async t => {
  const { port, origin } = await echo(t)
  for (const [method, path] of [['GET', '/page'], ['HEAD', '/page'], ['POST', '/form'], ['HEAD', '/echo']] as const) {
    const headers = method === 'POST' ? { 'Content-Type': 'application/json', 'Content-Length': '1000' } : {}
    t.equal((await refusal(port, path, { Origin: origin, ...headers }, method)).status, 404, `${method} ${path}`)
  }
  t.match(await refusal(port, '/nowhere', { Origin: origin }), { status: 404, headers: { connection: 'close' } })
  t.match(await refusal(port, '/page', { Origin: origin }), { status: 404, headers: { connection: 'close' } })
})

test('HTTP requests are answered as without the plugin', async t => {
  const { app, origin } = await echo(t)
  t.equal(await (await fetch(`${origin}/page`)).text(), 'a page')
  t.equal(await (await fetch(`${origin}/form`, { method: 'POST' })).text(), 'a form')
  t.equal((await fetch(`${origin}/echo`, { headers: { origin: 'http://evil.example' } })).status, 404)
  t.equal((await app.inject('/page')).body, 'a page')
})

test('a route may serve HTTP and WebSocket, and wsOptions change the guard of that route only', async t => {
  const server = await serve(t, {}, app => {
    app.route({
      method: 'GET',
      url: '/both',
      wsOptions: { origin: ['https://partner.example'] },
      handler: async () => 'http',
      wsHandler: socket => { socket.send('ws') },
    })
    app.get('/own', { websocket: true }, socket => { socket.send('own') })
  })
  t.equal(await (await fetch(`${server.origin}/both`)).text(), 'http')
  await open(t, server, '/both', { origin: 'https://partner.example' })
  t.equal((await refusal(server.port, '/both', { Origin: server.origin })).status, 403)
  t.equal((await refusal(server.port, '/own', { Origin: 'https://partner.example' })).status, 403)
  await open(t, server, '/own')
})

test('routes of an encapsulated scope are guarded too, with the scope as `this`', async t => {
  const server = await serve(t, {}, app => {
    app.register(async scope => {
      scope.decorate('greeting', 'hello')
      scope.get('/scoped', { websocket: true }, function (socket) {
        socket.send(this.getDecorator<string>('greeting'))
      })
    }, { prefix: '/deep' })
  })
  t.equal((await refusal(server.port, '/deep/scoped', { Origin: 'http://evil.example' })).status, 403)
  const client = new WebSocket(`ws://${server.host}/deep/scoped`, { origin: server.origin })
  t.equal(await nextText(client), 'hello')
})

test('hooks and the schema of the route run before the socket opens', async t => {
  const server = await serve(t, {}, app => {
    app.get('/room', { websocket: true, schema: { querystring: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } } } }, (socket, request) => {
      socket.send(JSON.stringify(request.query))
    })
  })
  const { status, headers } = await refusal(server.port, '/room', { Origin: server.origin })
  t.equal(status, 400)
  t.equal(headers.connection, 'close')
  const client = new WebSocket(`ws://${server.host}/room?id=7`, { origin: server.origin })
  t.equal(await nextText(client), '{"id":7}')
})

test('exactly one of the offered subprotocols is chosen', async t => {
  const server = await echo(t)
  const client = new WebSocket(`ws://${server.host}/echo`, ['chat.v2', 'chat.v1'], { origin: server.origin })
  await once(client, 'open')
  t.equal(client.protocol, 'chat.v2')
})

test('injectWS opens a socket for tests', async t => {
  const server = await echo(t)
  const client = await server.app.injectWS('/echo', { headers: { host: 'chat.example', origin: 'http://chat.example' } })
  const answer = nextText(client)
  client.send('from within')
  t.equal(await answer, 'from within')
  await t.rejects(server.app.injectWS('/echo', { headers: { host: 'chat.example', origin: 'http://evil.example' } }), { message: /403/ })
  client.terminate()
})

test('a refusal is logged and published with its code', async t => {
  const published: unknown[] = []
  subscribe('fastkeep:websocket:refused', message => published.push(message))
  const { port, log } = await echo(t)
  await refusal(port, '/echo', { Origin: 'http://evil.example' })
  const expected = { code: 'FST_KEEP_WEBSOCKET_ORIGIN_REFUSED', statusCode: 403, origin: 'http://evil.example' }
  t.match(published, [expected])
  t.match(log.filter(line => line.msg.startsWith('WebSocket refused')), [expected])
})
