import { once } from 'node:events'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import secureHeaders, { NONCE } from '@fastkeep/secure-headers'
import helmet from '@fastkeep/secure-headers/helmet'
import { certificate } from './certificate.js'
import { API, ASSET, DOCUMENT, only } from './policies.js'
import { ask, listen, page } from './servers.js'

const { key, cert } = certificate()
const https = { key, cert }
const HSTS = 'max-age=63072000; includeSubDomains'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

type Ask = (path: string, method?: string, headers?: Record<string, string>) => Promise<Answer>

interface Protocol {
  readonly isTls: boolean
  create (): FastifyInstance
  connect (t: Test, port: number): Ask
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  HTTP: { isTls: false, create: () => Fastify(), connect: (_t, port) => (path, method = 'GET', headers = {}) => ask(port, path, { method, headers }) },
  HTTPS: {
    isTls: true,
    create: () => Fastify({ https }) as unknown as FastifyInstance,
    connect: (_t, port) => (path, method = 'GET', headers = {}) => ask(port, path, { method, headers, ca: cert }),
  },
  'HTTP/2': {
    isTls: true,
    create: () => Fastify({ http2: true, https }) as unknown as FastifyInstance,
    connect: (t, port) => {
      const session = http2.connect(`https://127.0.0.1:${port}`, { ca: cert, servername: 'example.test' })
      t.teardown(() => session.close())
      return async (path, method = 'GET', headers = {}) => {
        const stream = session.request({ ':path': path, ':method': method, ':authority': 'example.test', ...headers })
        const [answer] = await once(stream.end(), 'response') as [http2.IncomingHttpHeaders]
        return { status: Number(answer[':status']), headers: answer, body: await text(stream) }
      }
    },
  },
}

async function service (create: Protocol['create']): Promise<FastifyInstance> {
  const app = create()
  await app.register(secureHeaders, { reporting: { path: '/reports' }, contentSecurityPolicyReportOnly: { directives: { styleSrc: [NONCE] } } })
  app.get('/html', page)
  app.get('/json', async () => ({}))
  app.get('/css', async (_, reply) => await reply.type('text/css').send('x'))
  app.get('/stream', async (_, reply) => await reply.type('text/html').send(Readable.from(['x', 'y'])))
  app.get('/events', (_, reply) => { reply.hijack().raw.writeHead(200, { 'Content-Type': 'text/event-stream' }).end('data: x\n\n') })
  app.get('/unmodified', async (_, reply) => await reply.code(304).type('text/html').send())
  app.get('/nonce', async (_, reply) => await reply.type('text/html').send(`${reply.cspNonce}`))
  app.get('/own', async (request, reply) => await page(request, reply.header('x-frame-options', 'SAMEORIGIN').header('server', 'x')))
  app.get('/off', { secureHeaders: false }, page)
  app.get('/route', { secureHeaders: { contentSecurityPolicy: { directives: { imgSrc: { append: ['https:'] } } } } }, page)
  app.get('/response', async (request, reply) => await page(request, reply.secureHeaders({ referrerPolicy: 'origin' })))
  app.get('/logout', async (_, reply) => reply.clearSiteData().redirect('/'))
  app.get('/failing', { secureHeaders: { contentSecurityPolicy: { directives: { imgSrc: [() => { throw new Error('on purpose') }] } } } }, page)
  app.get('/hook', { onRequest: async () => { throw new Error('on purpose') } }, page)
  return app
}

for (const [name, { isTls, create, connect }] of Object.entries(PROTOCOLS)) {
  test(`over ${name} each kind of answer has the headers of its class`, async t => {
    const get = connect(t, await listen(t, await service(create)))
    const coop = { 'cross-origin-opener-policy': 'same-origin; report-to="security"' }
    const csp = { 'content-security-policy': new RegExp(`${isTls ? 'upgrade-insecure-requests; ' : "frame-ancestors 'none'; "}report-uri /reports; report-to security$`) }
    const document = { ...DOCUMENT, ...coop, ...csp } as unknown as Record<string, string>
    const answers: ReadonlyArray<readonly [path: string, status: number, policy: Record<string, string>, method?: string]> = [
      ['/html', 200, document], ['/html', 200, document, 'HEAD'], ['/stream', 200, document], ['/css', 200, ASSET], ['/json', 200, API],
      ['/events', 200, API], ['/failing', 500, API], ['/hook', 500, API], ['/none', 404, API], ['/html', 404, API, 'OPTIONS'], ['/reports', 400, API, 'POST'],
    ]
    for (const [path, status, policy, method = 'GET'] of answers) {
      const answer = await get(path, method, method === 'POST' ? { 'content-type': 'application/reports+json' } : {})
      t.equal(answer.status, status, `${method} ${path}`)
      // Documents of this service have a nonce in their report-only policy.
      t.match(answer.headers, { ...only(policy), ...policy === document && { 'cache-control': 'private' } }, `${method} ${path}`)
      t.equal(answer.headers['strict-transport-security'], isTls ? HSTS : undefined, `${method} ${path}`)
    }
  })

  test(`over ${name} nonces, routes, single responses and handlers decide what they decide`, async t => {
    const get = connect(t, await listen(t, await service(create)))
    const nonced = await get('/nonce')
    t.match(nonced.headers['content-security-policy'], `script-src 'self' 'nonce-${nonced.body}'`)
    t.match(nonced.headers['content-security-policy-report-only'], `style-src 'nonce-${nonced.body}'`)
    t.match((await get('/own')).headers, { 'x-frame-options': 'SAMEORIGIN', server: undefined })
    t.match((await get('/off')).headers, { ...only({}), 'strict-transport-security': undefined, 'reporting-endpoints': undefined })
    t.match((await get('/route')).headers['content-security-policy'], "img-src 'self' data: https:")
    t.equal((await get('/response')).headers['referrer-policy'], 'origin')
    t.match(await get('/logout'), { status: 302, headers: { 'clear-site-data': '"cache", "cookies", "storage"' } })
    const unmodified = await get('/unmodified')
    t.equal(unmodified.status, 304)
    t.match(unmodified.headers, { 'content-security-policy': undefined, 'content-security-policy-report-only': undefined, 'x-frame-options': 'DENY' })
  })

  test(`over ${name} the drop-in sends what @fastify/helmet would`, async t => {
    const app = create()
    await app.register(helmet, { enableCSPNonces: true })
    app.get('/', async (_, reply) => await reply.send(reply.cspNonce))
    const { headers, body } = await connect(t, await listen(t, app))('/')
    const { script, style } = JSON.parse(body) as { script: string, style: string }
    t.match(headers['content-security-policy'], `script-src 'self' 'nonce-${script}'`)
    t.match(headers['content-security-policy'], `style-src 'self' https: 'unsafe-inline' 'nonce-${style}'`)
    t.match(headers, { 'x-frame-options': 'SAMEORIGIN', 'strict-transport-security': 'max-age=31536000; includeSubDomains' })
  })
}
