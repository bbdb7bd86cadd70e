import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { type AddressInfo, type Server } from 'node:net'
import tls, { type ConnectionOptions } from 'node:tls'
import Fastify from 'fastify'
import { createServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { handshake, lab, listen } from './lab.ts'

async function guardedServer (t: Test): Promise<{ port: number, ca: string }> {
  const { cert, key, caPem } = await lab(t)
  return { port: await listen(t, tls.createServer(createServerContext({ cert, key }).options)), ca: caPem }
}

/** One that takes anything, to prove that a client's handshake fails for our reason and no other. */
async function lenientServer (t: Test): Promise<{ port: number, ca: string }> {
  const { certPem, keyPem, caPem } = await lab(t)
  const options = { cert: certPem, key: keyPem, minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0', ecdhCurve: 'secp521r1:X25519' } as const
  return { port: await listen(t, tls.createServer(options)), ca: caPem }
}

test('TLS 1.3 and 1.2 are accepted', async t => {
  const { port, ca } = await guardedServer(t)
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
    const socket = await handshake(t, port, { ca, minVersion: version, maxVersion: version })
    t.equal(socket.getProtocol(), version)
    t.ok(socket.authorized)
  }
})

const noCommonChoice = /^ERR_SSL_S.*HANDSHAKE_FAILURE$/

const refused: Record<string, { client: ConnectionOptions, code: string | RegExp }> = {
  'TLS 1.1': { client: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }, code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' },
  'a CBC suite': { client: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }, code: noCommonChoice },
  'a CCM suite': { client: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-CCM' }, code: noCommonChoice },
  'a group outside the profile': { client: { ecdhCurve: 'secp521r1' }, code: noCommonChoice },
}

for (const [what, { client, code }] of Object.entries(refused)) {
  test(`${what} is refused`, async t => {
    const guarded = await guardedServer(t)
    const lenient = await lenientServer(t)
    await t.resolves(handshake(t, lenient.port, { ca: lenient.ca, ...client }), 'by our server alone')
    await t.rejects(handshake(t, guarded.port, { ca: guarded.ca, ...client }), { code })
  })
}

test('the client chooses among the suites', async t => {
  const { port, ca } = await guardedServer(t)
  for (const suite of ['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256']) {
    const others = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305'
    const socket = await handshake(t, port, { ca, maxVersion: 'TLSv1.2', ciphers: `${suite}:${others}` })
    t.equal(socket.getCipher().name, suite)
  }
})

test('the hybrid post-quantum group is used where this Node version has it, and left out where not', async t => {
  const { port, ca } = await guardedServer(t)
  const hybrid = { ca, ecdhCurve: 'X25519MLKEM768' }
  const isSupported = (() => {
    try {
      return tls.createSecureContext(hybrid) !== undefined
    } catch {
      return false
    }
  })()
  if (isSupported) await t.resolves(handshake(t, port, hybrid))
  for (const ecdhCurve of ['X25519', 'prime256v1', 'secp384r1']) await t.resolves(handshake(t, port, { ca, ecdhCurve }))
})

test('the options are those of TLS alone, so that they meet no other factory option of Fastify', async t => {
  const { cert, key } = await lab(t)
  const { options } = createServerContext({ cert, key })
  t.same(Object.keys(options).sort(), ['ca', 'cert', 'ciphers', 'ecdhCurve', 'handshakeTimeout', 'honorCipherOrder', 'key', 'maxVersion', 'minVersion', 'secureOptions', 'sessionIdContext', 'sessionTimeout', 'ticketKeys'])
  t.equal(options.handshakeTimeout, 10_000)
})

test('https, http2 and Fastify over both take the same options', async t => {
  const { cert, key, caPem: ca } = await lab(t)
  const { options } = createServerContext({ cert, key })

  const httpsPort = await listen(t, https.createServer(options, (_request, response) => response.end('https')))
  t.equal(await overHttp1(httpsPort, ca), 'https')

  const http2Port = await listen(t, http2.createSecureServer(options, (_request, response) => response.end('http2')) as Server)
  t.equal(await overHttp2(t, http2Port, ca), 'http2')

  const fastify1 = Fastify({ https: options })
  fastify1.get('/', async () => 'fastify over https')
  t.teardown(() => fastify1.close())
  await fastify1.listen({ port: 0, host: '127.0.0.1' })
  t.equal(await overHttp1((fastify1.server.address() as AddressInfo).port, ca), 'fastify over https')

  const fastify2 = Fastify({ http2: true, https: options })
  fastify2.get('/', async () => 'fastify over http2')
  t.teardown(() => fastify2.close())
  await fastify2.listen({ port: 0, host: '127.0.0.1' })
  t.equal(await overHttp2(t, (fastify2.server.address() as AddressInfo).port, ca), 'fastify over http2')
})

async function overHttp1 (port: number, ca: string): Promise<string> {
  const request = https.get({ host: '127.0.0.1', port, ca, agent: false })
  const [response] = await once(request, 'response')
  return Buffer.concat(await response.toArray()).toString()
}

async function overHttp2 (t: Test, port: number, ca: string): Promise<string> {
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca })
  t.teardown(() => session.destroy())
  const chunks = await session.request({ ':path': '/' }).toArray()
  session.close()
  return Buffer.concat(chunks).toString()
}

test('an encrypted key serves', async t => {
  const { certPem, keyPem, caPem } = await lab(t)
  const key = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' }) as string
  const { options } = createServerContext({ cert: certPem, key, passphrase: 'open sesame' })
  t.match(options.key?.[0]?.pem, /ENCRYPTED/, 'it stays encrypted in memory')
  const port = await listen(t, tls.createServer(options))
  await t.resolves(handshake(t, port, { ca: caPem }))
})
