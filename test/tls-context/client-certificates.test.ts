import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { type Server } from 'node:net'
import { writeFileSync } from 'node:fs'
import tls, { type ConnectionOptions } from 'node:tls'
import { createServerContext, type ClientOptions, type ContextEvent, type PeerCertificate, type PeerVerify, type ServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { listen } from './lab.ts'
import { authority, leaf, revocationList, type Issued } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const clients = await authority('CN=Lab clients')
const others = await authority('CN=Other clients')
const server = await leaf(root)
const clientOf = async (issuer: Issued, subject: string, wish = {}) => await leaf(issuer, { subject, names: [], use: 'client', ...wish })
const alice = await clientOf(clients, 'CN=alice, O=Example, C=NL', { emails: ['alice@example.test'], uris: ['spiffe://example.test/alice'], names: ['alice.test'], serial: '0a1b2c' })
const bob = await clientOf(clients, 'CN=bob, O=Elsewhere')
const carol = await clientOf(clients, 'CN=carol, O=Example')
const mallory = await clientOf(others, 'CN=alice, O=Example, C=NL')
const expired = await clientOf(clients, 'CN=alice, O=Example', { from: -90, to: -1 })
const crl = await revocationList(clients, [carol])

interface Served {
  readonly context: ServerContext
  readonly port: number
}

async function serve (t: Test, client: ClientOptions): Promise<Served> {
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client })
  const listener = https.createServer(context.options, (request, response) => {
    const socket = request.socket as tls.TLSSocket
    response.end(socket.authorized ? 'authorized' : `not ${String(socket.authorizationError)}`)
  })
  const port = await listen(t, listener)
  t.teardown(context.attach(listener))
  return { context, port }
}

/** What the server answers, or why it does not. */
async function ask (port: number, issued?: Issued, options: ConnectionOptions = {}): Promise<string> {
  try {
    const certificate = issued === undefined ? {} : { cert: issued.certPem, key: issued.keyPem }
    const [response] = await once(https.get({ host: '127.0.0.1', port, servername: 'localhost', ca: root.certPem, agent: false, ...certificate, ...options }), 'response')
    return Buffer.concat(await response.toArray()).toString()
  } catch (error) {
    return 'refused ' + ((error as NodeJS.ErrnoException).code ?? '')
  }
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`require lets in over ${maxVersion} whoever has a certificate of the authority, and nobody else`, async t => {
    const { port } = await serve(t, { ca: clients.certPem, crl })
    t.equal(await ask(port, alice, { maxVersion }), 'authorized')
    for (const [who, issued] of Object.entries({ nobody: undefined, carol, mallory, expired })) t.match(await ask(port, issued, { maxVersion }), /^refused/, who)
  })

  test(`request lets everybody in over ${maxVersion} and says who is authorized`, async t => {
    const { port } = await serve(t, { mode: 'request', ca: clients.certPem, crl })
    t.equal(await ask(port, alice, { maxVersion }), 'authorized')
    t.match(await ask(port, undefined, { maxVersion }), /^not/)
    t.equal(await ask(port, carol, { maxVersion }), 'not CERT_REVOKED')
    t.equal(await ask(port, expired, { maxVersion }), 'not CERT_HAS_EXPIRED')
    t.match(await ask(port, mallory, { maxVersion }), /^not/)
  })

  test(`over ${maxVersion} a client that is revoked, or whose authority is dropped, never resumes`, async t => {
    const directory = t.testdir({ 'ca.pem': clients.certPem + others.certPem, 'crl.pem': await revocationList(clients, []) + await revocationList(others, []) })
    const { context, port } = await serve(t, { mode: 'request', ca: `${directory}/ca.pem`, crl: `${directory}/crl.pem` })
    const session = await sessionOf(t, port, carol, maxVersion)
    const dropped = await sessionOf(t, port, mallory, maxVersion)
    t.equal(await ask(port, carol, { session }), 'authorized')
    writeFileSync(`${directory}/crl.pem`, crl)
    writeFileSync(`${directory}/ca.pem`, clients.certPem)
    await context.reload()
    t.equal(await ask(port, carol, { session, maxVersion }), 'not CERT_REVOKED')
    t.match(await ask(port, mallory, { session: dropped, maxVersion }), /^not/)
  })
}

async function sessionOf (t: Test, port: number, { certPem, keyPem }: Issued, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
  const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: root.certPem, cert: certPem, key: keyPem, maxVersion })
  t.teardown(() => socket.destroy())
  const [session] = await once(socket, 'session') as [Buffer]
  return session
}

test('an intermediate authority may be the end of the chain where that is allowed', async t => {
  const intermediate = await authority('CN=Lab team', { issuer: clients })
  const dave = await clientOf(intermediate, 'CN=dave')
  const strict = await serve(t, { mode: 'request', ca: intermediate.certPem })
  t.match(await ask(strict.port, dave), /^not/)
  const partial = await serve(t, { mode: 'request', ca: intermediate.certPem, allowPartialChain: true })
  t.equal(await ask(partial.port, dave), 'authorized')
  t.match(await ask(partial.port, alice), /^not/, 'its own issuer is not trusted by that')
  t.match(await ask(partial.port, dave, { servername: '' }), /^not/, 'a client without a server name is not let in, as the README says')
})

const rules: Record<string, [PeerVerify, readonly string[]]> = {
  'the serial number': [{ serialNumber: '0A:1B:2C' }, ['alice']],
  'the common name': [{ commonName: ['alice', 'carol'] }, ['alice', 'carol']],
  'a DNS name': [{ dns: 'ALICE.test' }, ['alice']],
  'a URI': [{ uri: 'spiffe://example.test/alice' }, ['alice']],
  'an email address': [{ email: 'alice@example.test' }, ['alice']],
  'the issuer': [{ issuer: 'Lab clients' }, ['alice', 'bob', 'carol']],
  'the organisation and the name': [{ organization: 'Example', commonName: ['alice', 'bob'] }, ['alice']],
  'one of several rules': [[{ commonName: 'bob' }, { organization: 'Example', commonName: 'carol' }], ['bob', 'carol']],
  'a function': [({ commonName }) => commonName === 'bob' || 'only bob', ['bob']],
  'a function that takes its time': [async ({ organization }: PeerCertificate & { organization?: string }) => { await Promise.resolve(); return organization === undefined }, ['alice', 'bob', 'carol']],
  'a function that throws': [() => { throw new Error('no database') }, []],
  'a function that says false': [() => false, []],
}

for (const [what, [verify, allowed]] of Object.entries(rules)) {
  test(`verify by ${what}`, async t => {
    const { port } = await serve(t, { ca: clients.certPem, verify })
    for (const [name, issued] of Object.entries({ alice, bob, carol })) {
      t.match(await ask(port, issued), allowed.includes(name) ? 'authorized' : /^refused/, name)
    }
    t.match(await ask(port, mallory), /^refused/, 'the same names from another authority do not count')
  })
}

test('no function is asked about a certificate that is not trusted, even where everybody may connect', async t => {
  let asked = 0
  const { port } = await serve(t, { mode: 'request', ca: clients.certPem, verify: () => { asked++; return true } })
  t.match(await ask(port, mallory), /^refused/)
  t.equal(asked, 0)
  t.equal(await ask(port, alice), 'authorized')
  t.match(await ask(port), /^not/, 'who shows none claims nothing')
})

test('verify by the key survives a renewal with the same key', async t => {
  let spki = ''
  const learning = await serve(t, { ca: clients.certPem, verify: peer => { spki = peer.spki } })
  t.equal(await ask(learning.port, bob), 'authorized')
  const { port } = await serve(t, { ca: clients.certPem, verify: { spki } })
  t.equal(await ask(port, bob), 'authorized')
  t.match(await ask(port, alice), /^refused/)
})

test('verify is asked of resumed sessions too, and tells whom it refused', async t => {
  let isBlocked = false
  const { context, port } = await serve(t, { ca: clients.certPem, verify: () => !isBlocked || 'blocked since' })
  const session = await sessionOf(t, port, alice, 'TLSv1.3')
  t.equal(await ask(port, alice, { session }), 'authorized')
  isBlocked = true
  const refused = new Promise(resolve => { context.listen((event: ContextEvent, details) => { if (event === 'peer-refused') resolve(details) }) })
  t.match(await ask(port, alice, { session }), /^refused/)
  t.match(await refused, { reason: 'blocked since', fingerprint256: /^[0-9A-F:]{95}$/, remoteAddress: '127.0.0.1' })
})

test('over HTTP/2 nothing is answered before the decision, and what came early is not lost', async t => {
  let decide: (isLetIn: boolean) => void = () => {}
  const asked = { count: 0 }
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client: { ca: clients.certPem, verify: () => new Promise<boolean>(resolve => { asked.count++; decide = resolve }) } })
  const listener = http2.createSecureServer(context.options, (_request, response) => { response.end('h2') })
  const port = await listen(t, listener as unknown as Server)
  t.teardown(context.attach(listener))
  for (const isLetIn of [true, false]) {
    const session = http2.connect(`https://localhost:${port}`, { host: '127.0.0.1', ca: root.certPem, cert: alice.certPem, key: alice.keyPem } as http2.SecureClientSessionOptions)
    t.teardown(() => session.destroy())
    session.on('error', () => {})
    const stream = session.request({ ':path': '/' })
    const answer = stream.toArray().then(chunks => Buffer.concat(chunks as Buffer[]).toString(), () => '')
    while (asked.count < (isLetIn ? 1 : 2)) await new Promise(resolve => setImmediate(resolve))
    decide(isLetIn)
    t.equal(await answer === 'h2', isLetIn)
    session.destroy()
  }
})

test('client trust that would refuse everybody, or nobody, stops the start', async t => {
  const refused = (client: object) => () => createServerContext({ cert: server.certPem, key: server.keyPem, client })
  t.throws(refused({ mode: 'require' }), { code: code('CLIENT_CA_EMPTY') })
  t.throws(refused({ ca: Buffer.from('nothing') }), { code: code('CLIENT_CA_EMPTY'), message: /without a word/ })
  t.throws(refused({ ca: alice.certPem }), { code: code('CLIENT_CA_NOT_AUTHORITY') })
  t.throws(refused({ ca: clients.certPem, crl: await revocationList(others, []) }), { code: code('CRL_MISSING'), message: /CN=Lab clients/ })
  t.throws(refused({ ca: clients.certPem, crl: await revocationList(clients, [], -1) }), { code: code('CRL_EXPIRED'), message: /out of date since/ })
  t.throws(refused({ mode: 'off', ca: clients.certPem }), { code: code('OPTION_INVALID'), message: /would do nothing/ })
  t.throws(refused({ ca: clients.certPem, verify: { commonNam: 'alice' } }), { code: code('OPTION_INVALID'), message: /commonName/ })
  t.throws(refused({ ca: clients.certPem, verify: {} }), { code: code('OPTION_INVALID') })
  t.throws(refused({ ca: clients.certPem, verify: { spki: 'abc' } }), { code: code('OPTION_INVALID') })
})
