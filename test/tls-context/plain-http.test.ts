import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createRedirectServer, createServerContext, type RedirectServerOptions, type ServerContextOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { lab, listen } from './lab.ts'

const text = 'The client sent a plain HTTP request, but this server only speaks HTTPS on this port.'

async function serve (t: Test, kind: 'https' | 'http2', options: Partial<ServerContextOptions> = {}): Promise<{ port: number, ca: string }> {
  const { cert, key, caPem } = await lab(t, ['localhost', 'example.test', '127.0.0.1'])
  const context = createServerContext({ cert, key, ...options })
  const app = (kind === 'https' ? Fastify({ https: context.options }) : Fastify({ http2: true, https: { ...context.options, allowHTTP1: true } })) as unknown as FastifyInstance
  await app.register(tlsContext, { context })
  app.get('/', async () => 'over TLS')
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { port: (app.server.address() as AddressInfo).port, ca: caPem }
}

/** All bytes that come back for some bytes. */
async function send (port: number, request: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(request)
  return Buffer.concat(await socket.toArray()).toString()
}

async function overTls (port: number, ca: string): Promise<string> {
  const [response] = await once(https.get({ host: '127.0.0.1', port, ca, servername: 'localhost', agent: false }), 'response')
  return Buffer.concat(await response.toArray()).toString()
}

for (const kind of ['https', 'http2'] as const) {
  test(`over ${kind} plain HTTP is answered with 400 and what is wrong`, async t => {
    const { port, ca } = await serve(t, kind)
    for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
      const answer = await send(port, `${method} / HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, method)
      t.match(answer, text)
      t.match(answer, /\r\nConnection: close\r\n/)
    }
    t.equal(await overTls(port, ca), 'over TLS')
  })

  test(`over ${kind} plain HTTP is redirected to a name of the certificate, and to no other`, async t => {
    const { port, ca } = await serve(t, kind, { plainHttp: 'redirect' })
    const location = async (head: string) => /^HTTP\/1\.1 308 [^]*\r\nLocation: (\S+)\r\n/.exec(await send(port, head))?.[1]
    t.equal(await location('GET /a?b=c HTTP/1.1\r\nHost: Example.test\r\n\r\n'), `https://example.test:${port}/a?b=c`)
    t.equal(await location(`DELETE /x HTTP/1.1\r\nhost:127.0.0.1:${port}\r\n\r\n`), `https://127.0.0.1:${port}/x`)
    t.equal(await location('GET http://evil.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n'), `https://example.test:${port}/`)
    for (const head of ['GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\nHost: example.test\r\nHost: evil.test\r\n\r\n', 'GET / HTTP/1.1\r\nHost: example.test/..@evil.test\r\n\r\n', 'NONSENSE\r\n\r\n']) {
      t.match(await send(port, head), /^HTTP\/1\.1 400 /, head)
    }
    t.match(await send(port, `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(4_000)}`), /^HTTP\/1\.1 431 /)
    t.equal(await overTls(port, ca), 'over TLS')
  })
}

test('plain HTTP goes to a configured origin, whatever the host', async t => {
  const { port } = await serve(t, 'https', { plainHttp: { redirect: 'https://www.example.test' } })
  t.match(await send(port, 'GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n'), /\r\nLocation: https:\/\/www\.example\.test\/a\r\n/)
})

test('HTTP/2 without TLS is redirected in HTTP/2', async t => {
  const { port } = await serve(t, 'http2', { plainHttp: 'redirect' })
  for (const [host, expected] of [['example.test', { ':status': 308, location: `https://example.test:${port}/a` }], ['evil.test', { ':status': 400 }]] as const) {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    t.teardown(() => session.destroy())
    const [headers] = await once(session.request({ ':path': '/a', ':authority': host }), 'response')
    t.match(headers, expected)
  }
})

test('with false the connection is closed and nothing said', async t => {
  const { port } = await serve(t, 'https', { plainHttp: false })
  t.notMatch(await send(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), text)
})

test('whoever says nothing is disconnected, where the first byte is waited for', async t => {
  const { port } = await serve(t, 'https', { plainHttp: 'redirect', handshakeTimeout: 1_000 })
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  await once(socket.resume(), 'close')
  t.pass('closed by the server')
})

for (const plainHttp of ['refuse', 'redirect'] as const) {
  test(`whoever speaks without TLS byte by byte, or does not close his end, is cut off (plainHttp: ${plainHttp})`, async t => {
    const { port } = await serve(t, 'https', { plainHttp, handshakeTimeout: 1_000 })
    const closed = async (begin: string, rest: string) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      t.teardown(() => socket.destroy())
      socket.on('error', () => {})
      socket.write(begin)
      const trickle = setInterval(() => socket.write(rest), 100)
      t.teardown(() => clearInterval(trickle))
      socket.resume()
      await new Promise(resolve => socket.on('close', resolve))
    }
    await t.resolves(Promise.all([closed('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'x'), closed('GET / HT', 'x'), closed('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\0')]))
  })
}

test('wrong targets are refused', async t => {
  const { cert, key } = await lab(t)
  for (const plainHttp of ['redirct', { redirect: 'http://example.test' }, { redirect: 'https://example.test/path' }, true]) {
    t.throws(() => createServerContext({ cert, key, plainHttp: plainHttp as never }), { code: 'FST_KEEP_TLS_CONTEXT_OPTION_INVALID' })
  }
})

async function redirectServer (t: Test, options: RedirectServerOptions): Promise<(path: string, headers?: Record<string, string>) => Promise<http.IncomingMessage & { body: string }>> {
  const port = await listen(t, createRedirectServer(options) as Server)
  return async (path, headers = {}) => {
    const [response] = await once(http.get({ host: '127.0.0.1', port, path, headers, agent: false }), 'response')
    return Object.assign(response, { body: Buffer.concat(await response.toArray()).toString() })
  }
}

test('the redirect server of port 80 sends everybody to one origin, or to the names that are ours', async t => {
  const toOne = await redirectServer(t, { to: 'https://example.test' })
  t.match(await toOne('/a?b', { host: 'evil.test' }), { statusCode: 308, headers: { location: 'https://example.test/a?b' } })
  const toOurs = await redirectServer(t, { hosts: ['Example.test', 'www.example.test'], port: 8443 })
  t.match(await toOurs('/a', { host: 'example.test:80' }), { statusCode: 308, headers: { location: 'https://example.test:8443/a' } })
  t.match(await toOurs('/a', { host: 'evil.test' }), { statusCode: 400 })
  t.throws(() => createRedirectServer({}), { message: /"to" and "hosts"/ })
  t.throws(() => createRedirectServer({ to: 'https://a.test', hosts: ['a.test'] }), { message: /not both/ })
})

test('it answers ACME challenges that are known', async t => {
  const ask = await redirectServer(t, { to: 'https://example.test', acmeChallenge: async token => token === 'known' ? 'known.thumbprint' : undefined })
  t.match(await ask('/.well-known/acme-challenge/known'), { statusCode: 200, body: 'known.thumbprint' })
  t.match(await ask('/.well-known/acme-challenge/unknown'), { statusCode: 404 })
  t.match(await ask('/.well-known/acme-challenge/../x'), { statusCode: 308 })
  const failing = await redirectServer(t, { to: 'https://example.test', acmeChallenge: () => Promise.reject(new Error('secret')) })
  t.match(await failing('/.well-known/acme-challenge/known'), { statusCode: 500, body: /could not be looked up/ })
})
