import Fastify from 'fastify'
import { test, type Test } from 'tap'
import secureHeaders, { type SecureHeadersOptions } from '@fastkeep/secure-headers'
import { PERMISSIONS, only } from './policies.js'
import { ask, listen, page, sources, type Answer } from './servers.js'

/** A page of an app with these options, over plain HTTP or as if over TLS. */
async function pageOf (t: Test, options: SecureHeadersOptions, isTls = true): Promise<Answer> {
  const app = Fastify({ trustProxy: true })
  await app.register(secureHeaders, options)
  app.get('/', page)
  return await ask(await listen(t, app), '/', isTls ? { headers: { 'x-forwarded-proto': 'https' } } : {})
}

test("owasp sends the values of OWASP's Secure Headers Project", async t => {
  const { headers } = await pageOf(t, { preset: 'owasp' })
  t.match(headers, {
    ...only({}),
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests",
    'x-permitted-cross-domain-policies': 'none',
    'referrer-policy': 'no-referrer',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': `${PERMISSIONS}, web-share=()`,
    'cache-control': 'no-store, max-age=0',
    'x-dns-prefetch-control': 'off',
  })
})

test('strict has a nonce in each page though nobody reads it, Trusted Types and COEP', async t => {
  const answer = await pageOf(t, { preset: 'strict' })
  t.match(sources(answer, 'script-src'), /^'nonce-[A-Za-z0-9+/]{22}==' 'strict-dynamic' https: 'unsafe-inline'$/)
  t.match(sources(answer, 'style-src'), /^'nonce-[A-Za-z0-9+/]{22}=='$/)
  t.equal(sources(answer, 'require-trusted-types-for'), "'script'")
  t.equal(answer.headers['cross-origin-embedder-policy'], 'require-corp')
})

test('cherrypy sends the three headers of its documented tool, with a policy that is one, and over TLS its HSTS', async t => {
  const three = { 'content-security-policy': "default-src 'self'", 'x-frame-options': 'DENY', 'x-xss-protection': '1; mode=block' }
  t.match((await pageOf(t, { preset: 'cherrypy' }, false)).headers, { ...only(three), 'strict-transport-security': undefined })
  t.match((await pageOf(t, { preset: 'cherrypy' })).headers, { ...only(three), 'strict-transport-security': 'max-age=31536000' })
})

test('legacy lets inline code run and keeps the rest', async t => {
  const answer = await pageOf(t, { preset: 'legacy' })
  t.match(sources(answer, 'script-src'), /'unsafe-inline'/)
  t.equal(sources(answer, 'object-src'), "'none'")
  t.match(answer.headers, { 'x-frame-options': 'SAMEORIGIN', 'x-download-options': 'noopen', 'x-content-type-options': 'nosniff' })
})

test('options change a preset, and a preset takes the place of what was inherited', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { referrerPolicy: 'origin', xFrameOptions: 'SAMEORIGIN' })
  app.get('/', { secureHeaders: { preset: 'owasp', xFrameOptions: false, contentSecurityPolicy: { directives: { imgSrc: { append: ['data:'] } } } } }, page)
  const answer = await ask(await listen(t, app))
  t.match(answer.headers, { 'referrer-policy': 'no-referrer', 'x-frame-options': undefined, 'cross-origin-embedder-policy': 'require-corp' })
  t.equal(sources(answer, 'img-src'), "'self' data:")
})

test('report-only forms of COOP and COEP, Integrity-Policy and old headers are sent where they are asked for', async t => {
  const { headers } = await pageOf(t, {
    crossOriginOpenerPolicyReportOnly: 'same-origin',
    crossOriginEmbedderPolicyReportOnly: 'require-corp',
    integrityPolicy: {},
    integrityPolicyReportOnly: { blockedDestinations: ['script', 'style'], endpoints: ['integrity'] },
    xDownloadOptions: 'noopen',
  })
  t.match(headers, {
    'cross-origin-opener-policy-report-only': 'same-origin',
    'cross-origin-embedder-policy-report-only': 'require-corp',
    'integrity-policy': 'blocked-destinations=(script)',
    'integrity-policy-report-only': 'blocked-destinations=(script style), endpoints=(integrity)',
    'x-download-options': 'noopen',
  })
})

test('names that tell what runs here stay where that is asked for', async t => {
  const app = Fastify()
  await app.register(secureHeaders, { hideServerIdentity: false })
  app.get('/', async (request, reply) => await page(request, reply.header('server', 'x')))
  t.equal((await ask(await listen(t, app))).headers['server'], 'x')
})
