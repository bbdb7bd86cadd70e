import { createRequire } from 'node:module'
import published from '@fastify/helmet'
import fc from 'fast-check'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { test } from 'tap'
import dropIn, { contentSecurityPolicy, fastifyHelmet, type FastifyHelmetOptions } from '@fastkeep/secure-headers/helmet'
import secureHeaders from '@fastkeep/secure-headers'
import { ask, listen } from './servers.js'

const PLUGINS = { published: published as unknown as FastifyPluginAsync<object>, dropIn: dropIn as unknown as FastifyPluginAsync<object> }

interface Outcome {
  /** What was sent, nonces masked; else the message. */
  readonly headers?: Record<string, unknown>
  readonly message?: string
}

/** What a plugin makes of options and of a route's options, at boot or in a request. */
async function outcome (plugin: FastifyPluginAsync<object>, options: object, route?: unknown): Promise<Outcome> {
  const app = Fastify()
  try {
    await app.register(plugin, options)
    app.get('/', { ...route !== undefined && { helmet: route as object } } as object, async (_, reply) => await reply.header('x-powered-by', 'x').send({ nonces: (reply as { cspNonce: unknown }).cspNonce !== null }))
    const { headers, statusCode, json } = await app.inject('/')
    if (statusCode !== 200) return { message: (json() as { message: string }).message }
    const masked = Object.entries(headers).filter(([name]) => name !== 'date').map(([name, value]) => [name, String(value).replace(/nonce-[0-9a-f]{32}/g, 'nonce-X')])
    return { headers: { ...Object.fromEntries(masked) as object, body: json() as unknown } }
  } catch (error) {
    return { message: (error as Error).message }
  }
}

/** The drop-in knows it too. */
const helmetSymbol = (published as unknown as typeof dropIn).contentSecurityPolicy.dangerouslyDisableDefaultSrc

const source = fc.constantFrom("'self'", "'none'", 'https:', 'data:', 'a.example', 'self', 'none', 'nonce-x', 'sha256-x', 'a;b', 'a,b', '')
const name = fc.constantFrom('script-src', 'scriptSrc', 'style-src', 'styleSrc', 'default-src', 'defaultSrc', 'img-src', 'directive-1', '-x', 'A', '', 'upgrade-insecure-requests')
const directives = fc.dictionary(name, fc.oneof(fc.array(source, { maxLength: 3 }), source, fc.constant(null), fc.constant(undefined), fc.constant(helmetSymbol)), { maxKeys: 4 })
const policy = fc.oneof(fc.boolean(), fc.record({ directives, useDefaults: fc.boolean(), reportOnly: fc.boolean() }, { requiredKeys: [] }))
const policyWord = fc.record({ policy: fc.constantFrom('same-origin', 'require-corp', 'unsafe-none', 'cross-origin', 'credentialless', 'wrong', '') }, { requiredKeys: [] })

const options = fc.record({
  contentSecurityPolicy: policy,
  crossOriginEmbedderPolicy: fc.oneof(fc.boolean(), policyWord),
  crossOriginOpenerPolicy: fc.oneof(fc.boolean(), policyWord),
  crossOriginResourcePolicy: fc.oneof(fc.boolean(), policyWord),
  originAgentCluster: fc.boolean(),
  referrerPolicy: fc.oneof(fc.boolean(), policyWord, fc.record({ policy: fc.array(fc.constantFrom('origin', 'no-referrer', '', 'wrong'), { maxLength: 3 }) })),
  strictTransportSecurity: fc.oneof(fc.boolean(), fc.record({ maxAge: fc.oneof(fc.double(), fc.constantFrom(0, -1, 1.5, NaN, Infinity)), includeSubDomains: fc.boolean(), preload: fc.boolean(), maxage: fc.constant(1), includeSubdomains: fc.boolean() }, { requiredKeys: [] })),
  hsts: fc.boolean(),
  noSniff: fc.boolean(),
  xContentTypeOptions: fc.boolean(),
  dnsPrefetchControl: fc.oneof(fc.boolean(), fc.record({ allow: fc.boolean() })),
  ieNoOpen: fc.boolean(),
  frameguard: fc.oneof(fc.boolean(), fc.record({ action: fc.constantFrom('deny', 'DENY', 'sameorigin', 'same-origin', 'wrong') })),
  xFrameOptions: fc.boolean(),
  permittedCrossDomainPolicies: fc.oneof(fc.boolean(), fc.record({ permittedPolicies: fc.constantFrom('none', 'all', 'wrong') })),
  hidePoweredBy: fc.boolean(),
  xssFilter: fc.boolean(),
  enableCSPNonces: fc.boolean(),
  global: fc.boolean(),
}, { requiredKeys: [] })

test('options make the same headers and the same messages as in @fastify/helmet', async () => {
  const route = fc.option(fc.oneof(options, fc.constant(false)), { nil: undefined })
  await fc.assert(fc.asyncProperty(options, route, async (given, route) => {
    const theirs = await outcome(PLUGINS.published, given, route)
    const ours = await outcome(PLUGINS.dropIn, given, route)
    // A configuration that no request uses is refused at boot all the same.
    if (ours.message !== undefined && theirs.message === undefined) return given.global === false || route !== undefined
    if (JSON.stringify(ours) === JSON.stringify(theirs)) return true
    // Two faults: the one of the service is told at boot, before the one of the route.
    if (theirs.message !== undefined && (await outcome(PLUGINS.dropIn, given)).message === ours.message) return route !== undefined
    throw new Error(`${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`)
  }), { numRuns: 300 })
})

test('a wrong option of the whole service stops the boot, where @fastify/helmet fails each request', async t => {
  const wrong = { frameguard: { action: 'wrong' } } as unknown as FastifyHelmetOptions
  await t.rejects(async () => { await Fastify().register(dropIn, wrong) }, { message: 'X-Frame-Options received an invalid action "wrong"' })
})

test('a failing function of the policy is a 500 without the headers, as in @fastify/helmet', async t => {
  const failing = { contentSecurityPolicy: { directives: { 'script-src': [() => { throw new Error('on purpose') }] } } }
  const [theirs, ours] = [await outcome(PLUGINS.published, failing), await outcome(PLUGINS.dropIn, failing)]
  t.same(ours, theirs)
  t.equal(ours.message, 'on purpose')
})

test('functions get the raw request and response, and what they give is checked', async t => {
  const app = Fastify()
  await app.register(dropIn, { contentSecurityPolicy: { directives: { imgSrc: [({ headers }, res) => `${String(headers['x-source'])}${String(res.headersSent)}`] } } })
  app.get('/', async () => 'x')
  const port = await listen(t, app)
  t.match((await ask(port, '/', { headers: { 'x-source': 'https://a.example/' } })).headers['content-security-policy'], /img-src https:\/\/a\.example\/false/)
  t.equal((await ask(port, '/', { headers: { 'x-source': 'a;b' } })).status, 500)
})

test('reply.helmet sends the headers of one response, over a real connection and on a stream', async t => {
  const app = Fastify()
  await app.register(dropIn, { global: false, enableCSPNonces: true })
  app.get('/', async (_, reply) => { reply.helmet(); return 'x' })
  app.get('/changed', async (_, reply) => { reply.helmet({ frameguard: { action: 'deny' } }); return reply.cspNonce })
  app.get('/none', async (_, reply) => reply.cspNonce)
  app.get('/hijacked', (_, reply) => { reply.helmet(); reply.hijack().raw.end('x') })
  const port = await listen(t, app)
  t.equal((await ask(port)).headers['x-frame-options'], 'SAMEORIGIN')
  t.equal((await ask(port, '/hijacked')).headers['x-frame-options'], 'SAMEORIGIN')
  const changed = await ask(port, '/changed')
  t.equal(changed.headers['x-frame-options'], 'DENY')
  t.match(JSON.parse(changed.body), { script: /^[0-9a-f]{32}$/, style: /^[0-9a-f]{32}$/ })
  t.equal((await ask(port, '/none')).headers['x-frame-options'], undefined)
})

test('an option that helmet would warn of on the console is a warning in the log', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  await app.register(dropIn, { noSniff: {} } as unknown as FastifyHelmetOptions)
  await app.close()
  t.match(lines.join(''), /X-Content-Type-Options does not take options\. Remove the property to silence this warning\./)
})

test('the plugin and the drop-in do not go together, and say so', async t => {
  const app = Fastify()
  await app.register(secureHeaders)
  await t.rejects(async () => { await app.register(dropIn) }, { code: 'FST_KEEP_SECURE_HEADERS_HELMET', exitCode: 78 })
  for (const other of Object.values(PLUGINS)) {
    const service = Fastify()
    await service.register(other)
    await t.rejects(async () => { await service.register(secureHeaders) }, { code: 'FST_KEEP_SECURE_HEADERS_HELMET', exitCode: 78 })
  }
})

test('others find the drop-in by the name of @fastify/helmet', async t => {
  const app: FastifyInstance = Fastify()
  await app.register(dropIn)
  t.ok(app.hasPlugin('@fastify/helmet'))
  t.equal(fastifyHelmet.contentSecurityPolicy, contentSecurityPolicy)
  t.same(Object.keys(dropIn.contentSecurityPolicy.getDefaultDirectives()), Object.keys((published as unknown as typeof dropIn).contentSecurityPolicy.getDefaultDirectives()))
  t.equal(typeof createRequire(import.meta.url).resolve('@fastkeep/secure-headers/helmet'), 'string')
})
