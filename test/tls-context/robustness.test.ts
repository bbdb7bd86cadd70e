import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { promisify } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createServerContext, type ServerContextOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { lab } from './lab.ts'
import { needs } from '../programs.ts'

async function serve (t: Test, options: Partial<ServerContextOptions> = {}): Promise<{ port: number, ca: string, caPem: string }> {
  const { cert, key, ca, caPem } = await lab(t)
  const context = createServerContext({ cert, key, ...options })
  const app = Fastify({ https: context.options, forceCloseConnections: true }) as unknown as FastifyInstance
  await app.register(tlsContext, { context })
  app.get('/', async request => ({ protocol: request.tls?.protocol, cipher: request.tls?.cipher }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { port: (app.server.address() as AddressInfo).port, ca, caPem }
}

async function ask (port: number, ca: string): Promise<number | undefined> {
  const [response] = await once(https.get({ host: '127.0.0.1', port, servername: 'localhost', ca, agent: false }), 'response')
  response.resume()
  return response.statusCode
}

for (const plainHttp of ['refuse', 'redirect'] as const) {
  test(`200 clients that say nothing do not keep another from its answer (plainHttp: ${plainHttp})`, async t => {
    const { port, caPem } = await serve(t, { plainHttp })
    const silent: Socket[] = []
    t.teardown(() => { for (const socket of silent) socket.destroy() })
    for (let count = 0; count < 200; count++) {
      const socket = net.connect(port, '127.0.0.1')
      socket.on('error', () => {})
      silent.push(socket)
      await once(socket, 'connect')
    }
    t.equal(await ask(port, caPem), 200)
    t.ok(silent.every(({ destroyed }) => !destroyed), 'while all of them are still there')
  })

  test(`10,000 handshakes of garbage leave the server up (plainHttp: ${plainHttp})`, async t => {
    const { port, caPem } = await serve(t, { plainHttp })
    const heads = ['', '16', '1603', '160301', '1603010200', '16030102000100', '160301020001000001fc0303', '80', '802e0100', '474554', '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a', '15030300020228', '17030300ff']
    let sent = 0
    await Promise.all(Array.from({ length: 50 }, async () => {
      while (sent < 10_000) {
        const index = sent++
        const socket = net.connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.end(Buffer.concat([Buffer.from(heads[index % heads.length] ?? '', 'hex'), randomBytes(index % 300)]))
        await once(socket.resume(), 'close')
      }
    }))
    t.equal(await ask(port, caPem), 200)
  })
}

test('curl reaches the server with the authority, over TLS 1.2 and 1.3, and not without', { skip: needs('curl') }, async t => {
  const { port, ca } = await serve(t, { profile: 'strict256' })
  const curl = async (...args: string[]) => (await promisify(execFile)('curl', ['--silent', '--show-error', ...args, `https://localhost:${port}/`])).stdout
  t.match(JSON.parse(await curl('--cacert', ca, '--tlsv1.3')), { protocol: 'TLSv1.3' })
  t.match(JSON.parse(await curl('--cacert', ca, '--tls-max', '1.2')), { protocol: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384' })
  await t.rejects(curl(), { code: 60 })
  await t.rejects(curl('--cacert', ca, '--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-AES128-GCM-SHA256'), { code: 35 })
})
