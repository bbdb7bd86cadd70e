import type tls from 'node:tls'
import https from 'node:https'
import http2 from 'node:http2'
import { type Server } from 'node:net'
import { createServerContext } from '@fastkeep/tls-context'
import { test } from 'tap'
import { handshake, listen } from './lab.ts'
import { authority, leaf } from './pki.ts'

const root = await authority('CN=Lab root')
const server = await leaf(root)
const challenge = await leaf(undefined, { names: ['example.test'], subject: 'CN=challenge' })

test('tls-alpn-01 is answered on the same port, and HTTP goes on', async t => {
  const { options } = createServerContext({
    cert: server.certPem,
    key: server.keyPem,
    acme: servername => servername === 'example.test' ? { cert: challenge.certPem, key: challenge.keyPem } : undefined,
  })
  for (const [create, protocols, expected] of [
    [(options: tls.TlsOptions) => https.createServer(options), ['h2', 'http/1.1'], 'http/1.1'],
    [(options: tls.TlsOptions) => http2.createSecureServer(options) as unknown as Server, ['http/1.1', 'h2'], 'h2'],
  ] as const) {
    const port = await listen(t, create(options))
    const validation = await handshake(t, port, { servername: 'example.test', ALPNProtocols: ['acme-tls/1'], rejectUnauthorized: false })
    t.equal(validation.alpnProtocol, 'acme-tls/1')
    t.equal(validation.getPeerX509Certificate()?.subject, 'CN=challenge')
    await t.rejects(handshake(t, port, { servername: 'localhost', ALPNProtocols: ['acme-tls/1'], rejectUnauthorized: false }), 'no challenge for that name')
    const visitor = await handshake(t, port, { ca: root.certPem, ALPNProtocols: [...protocols] })
    t.equal(visitor.alpnProtocol, expected)
    t.equal(visitor.getPeerX509Certificate()?.subject, 'CN=localhost')
  }
})
