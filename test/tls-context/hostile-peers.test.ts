import { once } from 'node:events'
import https from 'node:https'
import tls, { type ConnectionOptions } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createClientContext, createServerContext, grade, type ClientOptions, type ServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { handshake, listen } from './lab.ts'
import { authority, leaf, x509, type Issued } from './pki.ts'

const root = await authority('CN=Lab root')
const clients = await authority('CN=Lab clients')
const server = await leaf(root)
const damaged = (type: string, hex: string) => ({ subject: 'CN=mallory', names: [], use: 'client' as const, extensions: [new x509.Extension(type, false, Buffer.from(hex, 'hex'))] })

/** OpenSSL lets a server see what it does not trust. */
const certificates: Record<string, Issued> = {
  'whose names are no DER': await leaf(undefined, damaged('2.5.29.17', 'deadbeef')),
  'whose responders are cut off': await leaf(undefined, damaged('1.3.6.1.5.5.7.1.1', '30033001')),
  'of another authority with damaged names': await leaf(await authority('CN=Nobody'), damaged('2.5.29.17', '30028205')),
}

async function serve (t: Test, client: ClientOptions): Promise<{ context: ServerContext, port: number }> {
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client, handshakeTimeout: 1_000 })
  const listener = https.createServer(context.options, (_request, response) => { response.end('let in') })
  const port = await listen(t, listener)
  t.teardown(context.attach(listener))
  return { context, port }
}

const identityOf = ({ certPem, keyPem }: Issued): ConnectionOptions => ({ cert: certPem, key: keyPem })

async function ask (port: number, options: ConnectionOptions = {}, path = '/'): Promise<string> {
  try {
    const [response] = await once(https.get({ host: '127.0.0.1', port, path, servername: 'localhost', ca: root.certPem, agent: false, ...options }), 'response')
    return `${response.statusCode} ${Buffer.concat(await response.toArray()).toString()}`
  } catch {
    return 'disconnected'
  }
}

for (const [what, issued] of Object.entries(certificates)) {
  test(`a client certificate ${what} is not trusted, and ends no process`, async t => {
    const { context, port } = await serve(t, { mode: 'request', ca: clients.certPem, verify: () => true })
    const refused = new Promise(resolve => { context.listen((_event, details) => resolve(details)) })
    t.equal(await ask(port, identityOf(issued)), 'disconnected')
    t.match(await refused, { reason: /\w/ })
    t.equal(await ask(port), '200 let in', 'and others are served')

    const routes = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client: { mode: 'request', ca: clients.certPem } })
    const app = Fastify({ https: routes.options }) as unknown as FastifyInstance
    t.teardown(() => app.close())
    await app.register(tlsContext, { context: routes })
    app.get('/', async request => request.tls?.peer?.authorized)
    app.get('/closed', { clientCert: true }, async () => 'secret')
    await app.listen({ port: 0, host: '127.0.0.1' })
    const [{ port: appPort }] = app.addresses() as unknown as [{ port: number }]
    t.equal(await ask(appPort, identityOf(issued)), '200 false')
    t.match(await ask(appPort, identityOf(issued), '/closed'), /^403 /)
  })
}

test('an extension that nobody asks for may be of any form', async t => {
  const odd = await leaf(clients, damaged('1.2.3.4', 'ff'))
  const { port } = await serve(t, { ca: clients.certPem, verify: { commonName: 'mallory' } })
  t.equal(await ask(port, identityOf(odd)), '200 let in')
})

test('a server certificate that cannot be read is refused by ours, by our client and by the grader', async t => {
  const odd = await leaf(root, { names: [], extensions: [new x509.Extension('2.5.29.17', false, Buffer.from('3009820b6c6f63', 'hex'))] })
  t.throws(() => createServerContext({ cert: odd.certPem, key: odd.keyPem }), { code: 'FST_KEEP_TLS_CONTEXT_CERTIFICATE_INVALID', message: /is damaged \(a DER value is cut off\)/ })
  const port = await listen(t, tls.createServer({ cert: odd.certPem, key: odd.keyPem }, socket => socket.on('error', () => {}).resume().end()))
  await t.rejects(createClientContext({ ca: root.certPem, verify: () => true }).connect({ host: '127.0.0.1', port, servername: 'localhost' }))
  t.match(await grade('127.0.0.1', port, { servername: 'localhost', ca: root.certPem }), { grade: 'T', reasons: [{ code: 'CERTIFICATE_UNREADABLE' }] })
})

test('a decision that does not come counts as no', async t => {
  const alice = await leaf(clients, { subject: 'CN=alice', names: [], use: 'client' })
  const { context, port } = await serve(t, { ca: clients.certPem, verify: () => new Promise<boolean>(() => {}) })
  const refused = new Promise(resolve => { context.listen((_event, details) => resolve(details)) })
  t.equal(await ask(port, identityOf(alice)), 'disconnected')
  t.match(await refused, { reason: 'no decision within 1000 ms' })
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`over ${version} whoever's certificate has expired since does not resume, and nobody whose key was taken back`, async t => {
    const soon = await leaf(clients, { subject: 'CN=alice', names: [], use: 'client', to: 2 / 86_400 })
    const { port } = await serve(t, { ca: clients.certPem })
    const first = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: root.certPem, ...identityOf(soon), maxVersion: version })
    t.teardown(() => first.destroy())
    const [session] = await once(first, 'session') as [Buffer]
    t.equal(await ask(port, { ...identityOf(soon), session, maxVersion: version }), '200 let in')
    while (Date.now() <= new Date(soon.certificate.notAfter).getTime()) await new Promise(resolve => setTimeout(resolve, 100))
    t.equal(await ask(port, { ...identityOf(soon), session, maxVersion: version }), 'disconnected')

    const keys = new Map([['alice', Buffer.alloc(32, 7)]])
    const psk = createServerContext({ psk: { keys: identity => keys.get(identity) } })
    const pskPort = await listen(t, tls.createServer(psk.options, socket => socket.on('error', () => {}).resume().end('x')))
    const client: ConnectionOptions = { ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305', pskCallback: () => ({ psk: Buffer.alloc(32, 7), identity: 'alice' }), checkServerIdentity: () => undefined, minVersion: version, maxVersion: version }
    const socket = tls.connect({ host: '127.0.0.1', port: pskPort, ...client })
    const sessions: Buffer[] = []
    socket.on('session', session => sessions.push(session))
    await once(socket.resume(), 'close')
    keys.clear()
    for (const session of [...sessions, socket.getSession()]) await t.rejects(handshake(t, pskPort, { ...client, session }))
  })
}
