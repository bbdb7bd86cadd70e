import http2 from 'node:http2'
import https from 'node:https'
import { once } from 'node:events'
import { type AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import tlsContext, { createServerContext, describeRoute, sslVariables, type ClientCertOption, type TlsContextOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { authority, leaf, revocationList, type Issued } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const clients = await authority('CN=Lab clients, O=Lab')
const server = await leaf(root, { names: ['localhost', 'other.test'] })
const clientOf = async (issuer: Issued, subject: string, wish = {}) => await leaf(issuer, { subject, names: [], use: 'client', ...wish })
const alice = await clientOf(clients, 'CN=alice, O=Example, OU=one, OU=two', { emails: ['alice@example.test'], names: ['alice.test'], to: 30, serial: '00ab' })
const bob = await clientOf(clients, 'CN=bob, O=Elsewhere')
const carol = await clientOf(clients, 'CN=carol, O=Example')
const crl = await revocationList(clients, [carol])
const context = () => createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client: { mode: 'request', ca: clients.certPem, crl } })

type Answer = { status: number, code?: string } & Record<string, unknown>

async function serve (t: Test, add: (app: FastifyInstance) => unknown, { http2 = false, ...options }: TlsContextOptions & { http2?: boolean } = {}): Promise<number> {
  const itsContext = context()
  const app = (http2 ? Fastify({ http2: true, https: itsContext.options }) : Fastify({ https: itsContext.options })) as unknown as FastifyInstance
  await app.register(tlsContext, { context: itsContext, ...options })
  await add(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return (app.server.address() as AddressInfo).port
}

const certificateOf = (issued?: Issued) => issued === undefined ? {} : { cert: issued.certPem, key: issued.keyPem }

async function get (port: number, path: string, issued?: Issued, options: https.RequestOptions = {}): Promise<Answer> {
  const [response] = await once(https.get({ host: '127.0.0.1', port, path, servername: 'localhost', headers: { host: 'localhost' }, ca: root.certPem, agent: false, ...certificateOf(issued), ...options }), 'response')
  return { status: response.statusCode, ...JSON.parse(Buffer.concat(await response.toArray()).toString()) }
}

async function getOverHttp2 (t: Test, port: number, path: string, issued: Issued | undefined, authority = `localhost:${port}`): Promise<Answer> {
  const session = http2.connect(`https://localhost:${port}`, { ca: root.certPem, host: '127.0.0.1', ...certificateOf(issued) } as http2.SecureClientSessionOptions)
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': path, ':authority': authority })
  const [headers] = await once(stream, 'response')
  return { status: headers[':status'], ...JSON.parse(Buffer.concat(await stream.toArray()).toString()) }
}

const who = async (request: FastifyRequest) => ({ who: request.tls?.peer?.commonName ?? 'nobody' })

for (const kind of ['https', 'http2'] as const) {
  test(`over ${kind} each route decides whom it lets in`, async t => {
    const port = await serve(t, app => {
      app.get('/', who)
      app.get('/any', { clientCert: true }, who)
      app.get('/example', { clientCert: { organization: 'Example' } }, who)
      app.get('/asked', { clientCert: async ({ commonName }) => commonName === 'bob' || `no ${commonName}` }, who)
    }, { http2: kind === 'http2' })
    const ask = async (path: string, issued?: Issued) => kind === 'https' ? await get(port, path, issued) : await getOverHttp2(t, port, path, issued)
    t.match(await ask('/'), { status: 200, who: 'nobody' })
    t.match(await ask('/any'), { status: 401, code: code('CLIENT_CERT_MISSING') })
    t.match(await ask('/any', carol), { status: 403, code: code('CLIENT_CERT_UNAUTHORIZED'), message: /CERT_REVOKED/ })
    t.match(await ask('/any', bob), { status: 200, who: 'bob' })
    t.match(await ask('/example', alice), { status: 200, who: 'alice' })
    t.match(await ask('/example', bob), { status: 403, code: code('CLIENT_CERT_REFUSED'), message: /its organization/ })
    t.match(await ask('/asked', bob), { status: 200, who: 'bob' })
    t.match(await ask('/asked', alice), { status: 403, message: /no alice/ })
  })
}

test('a scope passes its demand on, and a route inside may take it away', async t => {
  const port = await serve(t, async app => {
    app.get('/', who)
    await app.register(async scope => {
      await scope.register(tlsContext, { clientCert: { commonName: 'alice' } })
      scope.get('/inside', who)
      scope.get('/open', { clientCert: false }, who)
      scope.get('/bob', { clientCert: { commonName: 'bob' } }, who)
      await scope.register(async deeper => { deeper.get('/deeper', async request => ({ described: describeRoute(request) })) })
    })
    app.get('/outside', async request => ({ described: describeRoute(request) }))
  })
  t.match(await get(port, '/', bob), { status: 200 })
  t.match(await get(port, '/outside', bob), { status: 200, described: false })
  t.match(await get(port, '/inside', bob), { status: 403 })
  t.match(await get(port, '/inside', alice), { status: 200 })
  t.match(await get(port, '/open'), { status: 200 })
  t.match(await get(port, '/bob', bob), { status: 200 })
  t.match(await get(port, '/deeper', alice), { status: 200, described: { commonName: 'alice' } })
})

test('a demand of the plugin is that of every route, the head of a GET too', async t => {
  const port = await serve(t, app => { app.get('/', who) }, { clientCert: true })
  t.match(await get(port, '/', alice), { status: 200 })
  const [response] = await once(https.request({ method: 'HEAD', host: '127.0.0.1', port, servername: 'localhost', ca: root.certPem, agent: false }).end(), 'response')
  t.equal(response.statusCode, 401)
})

test('a request for another name than the connection\'s is misdirected where a certificate is asked for', async t => {
  const add = (app: FastifyInstance) => {
    app.get('/', who)
    app.get('/any', { clientCert: true }, who)
  }
  const port = await serve(t, add, { http2: true })
  t.match(await getOverHttp2(t, port, '/any', alice, 'other.test'), { status: 421, code: code('MISDIRECTED') })
  t.match(await getOverHttp2(t, port, '/any', alice, 'LOCALHOST'), { status: 200 })
  t.match(await getOverHttp2(t, port, '/', alice, 'other.test'), { status: 200 }, 'elsewhere coalescing is harmless')
  const port1 = await serve(t, add)
  t.match(await get(port1, '/any', alice, { headers: { host: 'other.test' } }), { status: 421 })
  t.match(await get(port1, '/any', alice, { headers: { host: 'localhost:8443' } }), { status: 200 })
})

test('a route that asks for certificates of a context that does not is refused', async t => {
  const plain = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false })
  const app = Fastify({ https: plain.options }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(tlsContext, { context: plain })
  t.throws(() => app.get('/any', { clientCert: true }, who), { code: code('ROUTE_REFUSED'), message: /GET \/any.*mode: 'request'/, exitCode: 78 })
  for (const wrong of ['alice', {}, { organisation: 'Example' }, []]) t.throws(() => app.get('/wrong', { clientCert: wrong as ClientCertOption }, who), { code: /OPTION_(INVALID|UNKNOWN)$/ })
})

test('a context without TLS on the server is refused', async t => {
  const app = Fastify()
  await t.rejects(async () => await app.register(tlsContext, { context: context() }), { code: code('TLS_REQUIRED') })
  await t.rejects(async () => await Fastify().register(tlsContext, { context: {} as never }), { code: code('OPTION_INVALID') })
})

test('request.tls describes the peer', async t => {
  const port = await serve(t, app => { app.get('/', async request => ({ ...request.tls?.peer, raw: undefined, daysLeft: request.tls?.peer?.daysLeft })) })
  t.match(await get(port, '/', alice), {
    authorized: true,
    authorizationError: null,
    commonName: 'alice',
    serialNumber: 'AB',
    dns: ['alice.test'],
    email: ['alice@example.test'],
    daysLeft: 29,
    fingerprint256: /^[0-9A-F:]{95}$/,
    spki: /^[A-Za-z0-9+/]{43}=$/,
    subject: [{ type: 'CN', value: 'alice' }, { type: 'O', value: 'Example' }, { type: 'OU', value: 'one' }, { type: 'OU', value: 'two' }],
  })
  t.match(await get(port, '/', carol), { authorized: false, authorizationError: 'CERT_REVOKED' })
})

test('the names of mod_ssl say the same, and the remaining days count from now', async t => {
  const port = await serve(t, app => { app.get('/', async request => sslVariables(request.tls)) })
  t.match(await get(port, '/', alice), {
    HTTPS: 'on',
    SSL_PROTOCOL: 'TLSv1.3',
    SSL_TLS_SNI: 'localhost',
    SSL_CLIENT_VERIFY: 'SUCCESS',
    SSL_CLIENT_M_SERIAL: 'AB',
    SSL_CLIENT_M_VERSION: '3',
    SSL_CLIENT_V_REMAIN: '29',
    SSL_CLIENT_S_DN: 'OU=two,OU=one,O=Example,CN=alice',
    SSL_CLIENT_S_DN_CN: 'alice',
    SSL_CLIENT_S_DN_OU: 'one',
    SSL_CLIENT_S_DN_OU_0: 'one',
    SSL_CLIENT_S_DN_OU_1: 'two',
    SSL_CLIENT_I_DN_CN: 'Lab clients',
    SSL_CLIENT_SAN_DNS_0: 'alice.test',
    SSL_CLIENT_SAN_Email_0: 'alice@example.test',
    SSL_CLIENT_CERT: /^-----BEGIN CERTIFICATE-----/,
  })
  t.match(await get(port, '/', carol), { SSL_CLIENT_VERIFY: 'FAILED:CERT_REVOKED' })
  const nobody = await get(port, '/')
  t.match(nobody, { SSL_CLIENT_VERIFY: 'NONE' })
  t.notOk('SSL_CLIENT_S_DN' in nobody)
  t.same(sslVariables(null), {})
})
