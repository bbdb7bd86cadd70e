import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tlsContext, { createServerContext } from '@fastkeep/tls-context'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import { WebSocket } from 'ws'
import websocket from '@fastkeep/websocket'
import { authority, leaf } from '../tls-context/pki.ts'
import { nextText } from './server-under-test.js'

test('authenticate knows the client by its certificate', async t => {
  const [root, clients] = [await authority('CN=Root'), await authority('CN=Clients')]
  const server = await leaf(root)
  const alice = await leaf(clients, { subject: 'CN=alice', names: [], use: 'client' })
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client: { ca: clients.certPem, mode: 'request' } })
  const app = Fastify({ https: context.options }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(tlsContext, { context })
  await app.register(websocket, { requireTls: true, authenticate: ({ tls }) => tls?.peer?.authorized === true && tls.peer.commonName })
  app.get('/', { websocket: true }, socket => { socket.on('message', () => socket.send(JSON.stringify(socket.peer))) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `wss://127.0.0.1:${(app.server.address() as AddressInfo).port}/`

  const client = new WebSocket(url, { ca: root.certPem, cert: alice.certPem, key: alice.keyPem })
  t.teardown(() => client.terminate())
  await once(client, 'open')
  client.send('who am I?')
  t.match(await nextText(client), /alice/)

  const stranger = new WebSocket(url, { ca: root.certPem })
  const [error] = await once(stranger, 'error')
  t.match(error, { message: /401/ })
})
