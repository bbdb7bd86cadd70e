import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastkeep/websocket'
import Fastify from 'fastify'
import { test } from 'tap'
import { WebSocket } from 'ws'
import { needs } from '../programs.ts'
import { closing, nextText } from './server-under-test.js'

/** A self-signed certificate for 127.0.0.1 and its key, in one text: Node finds in it what it looks for. */
function certificate (): string {
  return execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-',
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

test('over TLS the own origin is https, a refusal is complete, and the drain closes with 1001', { skip: needs('openssl') }, async t => {
  const pem = certificate()
  const app = Fastify({ https: { cert: pem, key: pem } })
  t.teardown(() => app.close())
  await app.register(websocket)
  app.get('/', { websocket: true }, socket => { socket.on('message', data => socket.send(`got ${String(data)}`)) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const host = `127.0.0.1:${port}`

  const client = new WebSocket(`wss://${host}`, { ca: pem, origin: `https://${host}` })
  await once(client, 'open')
  client.send('hello')
  t.equal(await nextText(client), 'got hello')

  const handshake = get({
    host: '127.0.0.1',
    port,
    ca: pem,
    agent: false,
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', Origin: `http://${host}` },
  })
  const [response] = await once(handshake, 'response') as [IncomingMessage]
  t.equal(response.statusCode, 403)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  t.ok(response.complete)
  t.match(JSON.parse(Buffer.concat(chunks).toString()), { code: 'FST_KEEP_WEBSOCKET_ORIGIN_REFUSED' })

  const end = closing(client)
  await app.close()
  t.match(await end, { code: 1001 })
})
