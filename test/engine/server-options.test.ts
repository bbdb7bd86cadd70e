import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type Server } from 'node:http'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { serverOptions } from '@fastkeep/engine'
import { createDevelopmentCertificate, createServerContext } from '@fastkeep/tls-context'

async function tls (t: Test): Promise<{ options: object, ca: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-server-options-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const { ca, cert, key } = await createDevelopmentCertificate({ directory })
  return { options: createServerContext({ cert, key }).options, ca: readFileSync(ca, 'utf8') }
}

async function statusOf (request: http.ClientRequest): Promise<number | undefined> {
  request.end()
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  response.resume()
  return response.statusCode
}

function assertInForce (t: Test, app: FastifyInstance): void {
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout } = app.server as unknown as Server
  t.same({ headersTimeout, requestTimeout, keepAliveTimeout, timeout }, { headersTimeout: 20_000, requestTimeout: 120_000, keepAliveTimeout: 72_000, timeout: 140_000 })
  t.equal(app.initialConfig.bodyLimit, 1_048_576)
}

const LARGE_HEADER = { 'x-large': 'a'.repeat(17_000) }

test('over HTTP the limits are in force, on a head that is too large too', async t => {
  const app = Fastify(serverOptions())
  t.teardown(() => app.close())
  app.get('/', async () => '')
  await app.listen({ port: 0, host: '127.0.0.1' })
  assertInForce(t, app)
  const { port } = app.server.address() as AddressInfo
  t.equal(await statusOf(http.request({ port, agent: false })), 200)
  t.equal(await statusOf(http.request({ port, agent: false, headers: LARGE_HEADER })), 431)
})

test('over HTTPS, where Fastify takes them in another place, they are in force as well', async t => {
  const { options, ca } = await tls(t)
  const app = Fastify(serverOptions(options)) as unknown as FastifyInstance
  t.teardown(() => app.close())
  app.get('/', async () => '')
  await app.listen({ port: 0, host: '127.0.0.1' })
  assertInForce(t, app)
  const { port } = app.server.address() as AddressInfo
  t.equal(await statusOf(https.request({ port, ca, servername: 'localhost', agent: false })), 200)
  t.equal(await statusOf(https.request({ port, ca, servername: 'localhost', agent: false, headers: LARGE_HEADER })), 431)
})
