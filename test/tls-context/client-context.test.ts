import { X509Certificate, createHash } from 'node:crypto'
import { once } from 'node:events'
import https from 'node:https'
import { fileURLToPath } from 'node:url'
import tls from 'node:tls'
import { createClientContext, createServerContext, type ClientContextOptions } from '@fastkeep/tls-context'
import { createDispatcher, createFetch } from '@fastkeep/tls-context/undici'
import { test, type Test } from 'tap'
import { Child, plainEnvironment } from '../child.ts'
import { listen } from './lab.ts'
import { authority, leaf, type Issued } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const ca = root.certPem
const server = await leaf(root, { names: ['localhost', '127.0.0.1'], to: 20, subject: 'CN=localhost, O=Example' })
const wrongHost = await leaf(root, { names: ['other.test'] })
const expired = await leaf(root, { from: -90, to: -1 })
const alice = await leaf(root, { subject: 'CN=alice', names: [], use: 'client' })
const pinOf = ({ certPem }: Issued) => createHash('sha256').update(new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
const otherPin = createHash('sha256').update('other').digest('base64')

async function serve (t: Test, issued: Issued = server): Promise<number> {
  const options = { cert: issued.certPem, key: issued.keyPem, ca, requestCert: true, rejectUnauthorized: false }
  return await listen(t, https.createServer(options, (request, response) => response.end((request.socket as tls.TLSSocket).getPeerX509Certificate()?.subject ?? 'nobody')))
}

/** Through the agent, connect, tls.connect and both fetches: what is answered, or the code of the failure. */
async function ways (t: Test, port: number, options: ClientContextOptions): Promise<Record<string, string>> {
  const client = createClientContext(options)
  const agent = client.agent()
  t.teardown(() => agent.destroy())
  const dispatcher = createDispatcher(client)
  t.teardown(() => dispatcher.destroy())
  const url = `https://localhost:${port}/`
  const outcome = async (ask: () => Promise<string>) => await ask().catch((error: Error & { code?: string, cause?: { code?: string } }) => error.code ?? error.cause?.code ?? String(error))
  return {
    agent: await outcome(async () => {
      const [response] = await once(https.get(url, { agent, lookup: (_name, options, callback) => options.all === true ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4) }), 'response')
      return Buffer.concat(await response.toArray()).toString()
    }),
    connect: await outcome(async () => {
      const socket = await client.connect({ host: '127.0.0.1', servername: 'localhost', port })
      socket.destroy()
      return 'connected'
    }),
    options: await outcome(async () => {
      const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ...client.options })
      t.teardown(() => socket.destroy())
      await once(socket, 'secureConnect')
      return 'connected'
    }),
    undici: await outcome(async () => await (await createFetch(client)(url)).text()),
    fetch: await outcome(async () => await (await fetch(url, { dispatcher } as object)).text()),
  }
}

const all = (answer: string, connected = answer) => ({ agent: answer, connect: connected, options: connected, undici: answer, fetch: answer })

test('a server that is trusted and has its name is reached every way', async t => {
  t.same(await ways(t, await serve(t), { ca }), all('nobody', 'connected'))
})

const failures: Record<string, [Issued, ClientContextOptions, string]> = {
  'another name': [wrongHost, { ca }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  'an expired certificate': [expired, { ca }, 'CERT_HAS_EXPIRED'],
  'an authority that is not trusted': [server, {}, 'SELF_SIGNED_CERT_IN_CHAIN'],
  'a key that is not pinned': [server, { ca, pins: [otherPin, pinOf(alice)] }, code('PIN_MISMATCH')],
  'fewer days left than asked for': [server, { ca, minimumDaysLeft: 30 }, code('EXPIRES_TOO_SOON')],
  'an organisation that is not allowed': [server, { ca, verify: { organization: 'Elsewhere' } }, code('PEER_REFUSED')],
}

for (const [what, [issued, options, error]] of Object.entries(failures)) {
  test(`${what} fails every way`, async t => {
    t.same(await ways(t, await serve(t, issued), options), all(error))
  })
}

test('pins of the leaf or of its authority, days and rules that hold let the server through', async t => {
  const port = await serve(t)
  t.same(await ways(t, port, { ca, pins: [pinOf(server), otherPin], minimumDaysLeft: 10, verify: { organization: 'Example' } }), all('nobody', 'connected'))
  t.same(await ways(t, port, { ca, pins: [otherPin, pinOf(root)] }), all('nobody', 'connected'))
})

test('an asynchronous decision is waited for, and refused where nobody could wait', async t => {
  const port = await serve(t)
  const options = (isLetIn: boolean): ClientContextOptions => ({ ca, verify: async () => await Promise.resolve(isLetIn) })
  t.same(await ways(t, port, options(true)), { ...all('nobody', 'connected'), options: code('PEER_REFUSED') })
  t.same(await ways(t, port, options(false)), all(code('PEER_REFUSED')))
})

test('a client certificate is shown', async t => {
  t.same(await ways(t, await serve(t), { ca, cert: alice.certPem, key: alice.keyPem }), all('CN=alice', 'connected'))
})

test('no caller can turn the checks off', async t => {
  const port = await serve(t, wrongHost)
  const client = createClientContext({ ca })
  const lax = { rejectUnauthorized: false, checkServerIdentity: () => undefined }
  await t.rejects(client.connect({ host: '127.0.0.1', servername: 'localhost', port, ...lax }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const agent = client.agent(lax)
  await t.rejects(once(https.get({ host: '127.0.0.1', servername: 'localhost', port, agent, ...lax }), 'response'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
})

test('every connection is a full handshake, so that every one is checked', async t => {
  const port = await serve(t)
  let checks = 0
  const agent = createClientContext({ ca, verify: () => { checks++ } }).agent()
  for (let count = 0; count < 3; count++) {
    const [response] = await once(https.get({ host: '127.0.0.1', servername: 'localhost', port, agent, headers: { connection: 'close' } }), 'response')
    t.notOk((response.socket as tls.TLSSocket).isSessionReused())
    await response.resume().toArray()
  }
  t.equal(checks, 3)
})

test('with NODE_TLS_REJECT_UNAUTHORIZED=0 it checks all the same, and warns loudly', async t => {
  const port = await serve(t, wrongHost)
  const child = new Child(t, process.execPath, [fileURLToPath(new URL('fixtures/connects.js', import.meta.url))], { env: { ...plainEnvironment(), NODE_TLS_REJECT_UNAUTHORIZED: '0', PORT: String(port), CA: ca } })
  await child.ended
  t.match(child.output, /outcome ERR_TLS_CERT_ALTNAME_INVALID/)
  t.match(child.output, /FST_KEEP_TLS_CONTEXT_CHECKS_DISABLED.* every other TLS client/)
})

test('a pre-shared key opens a connection without any certificate', async t => {
  const key = Buffer.alloc(32, 9)
  const context = createServerContext({ psk: { keys: { fleet: key }, hint: 'fleet' } })
  const port = await listen(t, tls.createServer(context.options, socket => socket.end('x')))
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const profile = { base: 'intermediate', maxVersion } as const
    const connect = async (psk: { identity: string, key: Uint8Array }) => await createClientContext({ psk, profile }).connect({ host: '127.0.0.1', port })
    const socket = await connect({ identity: 'fleet', key })
    t.equal(socket.getProtocol(), maxVersion)
    t.same(socket.getPeerCertificate(), {})
    socket.destroy()
    await t.rejects(connect({ identity: 'fleet', key: Buffer.alloc(32, 8) }))
    await t.rejects(connect({ identity: 'stranger', key }))
    await t.rejects(connect({ identity: '__proto__', key }))
  }
  await t.rejects(createClientContext({}).connect({ host: '127.0.0.1', port }), 'whoever has no key gets nothing')
  t.throws(() => createServerContext({ psk: { keys: { fleet: Buffer.alloc(15) } } }), { code: code('PSK_INVALID'), message: /"fleet" has 15 bytes/ })
  t.throws(() => createServerContext({ psk: { keys: {} } }), { code: code('OPTION_INVALID'), message: /not shown/ })
})

test('wrong options are refused by name', async t => {
  t.throws(() => createClientContext({ pins: [otherPin] }), { code: code('OPTION_INVALID'), message: /two pins or more/ })
  t.throws(() => createClientContext({ pins: [otherPin, 'sha256/x'] }), { code: code('OPTION_INVALID') })
  t.throws(() => createClientContext({ rejectUnauthorized: false } as object), { code: code('OPTION_UNKNOWN') })
  t.throws(() => createClientContext({ cert: alice.certPem, key: server.keyPem }), { code: code('KEY_MISMATCH') })
})
