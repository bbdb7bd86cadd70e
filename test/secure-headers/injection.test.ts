import fc from 'fast-check'
import Fastify from 'fastify'
import { test } from 'tap'
import secureHeaders, { type CspDirective, type SecureHeadersOptions } from '@fastkeep/secure-headers'
import { DOCUMENT } from './policies.js'

const NAMES = new Set([...Object.keys(DOCUMENT), 'strict-transport-security', 'cache-control', 'reporting-endpoints', 'integrity-policy',
  'cross-origin-embedder-policy', 'content-security-policy-report-only', 'cross-origin-opener-policy-report-only', 'x-download-options'])
const OF_FASTIFY = new Set(['content-type', 'content-length', 'date', 'connection'])

const DIRECTIVES: readonly CspDirective[] = ['default-src', 'script-src', 'img-src', 'base-uri', 'form-action', 'frame-ancestors', 'sandbox',
  'trusted-types', 'require-trusted-types-for', 'webrtc', 'report-to', 'report-uri', 'upgrade-insecure-requests']

/** What an attacker would put into a value, and what is close to it. */
const poison = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom("'self'", "'none'", 'https:', 'data:', 'https://a.example', '*', '/path', 'allow-forms', 'self', "'unsafe-inline'", "'nonce'"),
  fc.tuple(
    fc.constantFrom("'self'", 'https://a.example', 'https://a.example/path', '/path', 'allow-forms', 'name', 'default', "'sha256-abc='", 'https:'),
    fc.constantFrom(';', ',', ' ', '\r\n', '\n', '\0', '\t', '"', "'", '\u2028', '%3b', '\\', '(', ')', '=', '; script-src *', '\r\nset-cookie: a=b', '"), camera=*'),
    fc.constantFrom('', 'x', "'unsafe-inline'")
  ).map(parts => parts.join(''))
)

/** The head that a registration makes, `undefined` where it is refused. */
async function headOf (options: unknown): Promise<Record<string, unknown> | undefined> {
  const app = Fastify({ trustProxy: true })
  try {
    await app.register(secureHeaders, options as SecureHeadersOptions)
  } catch (error) {
    const { code, message } = error as { code?: string, message: string }
    if (!code?.startsWith('FST_KEEP_SECURE_HEADERS_')) throw error
    if (!message.includes('secure-headers')) throw new Error(`an error without the name of the package: ${message}`)
    return undefined
  }
  app.get('/', async (_, reply) => await reply.type('text/html').send('x'))
  const { headers, statusCode } = await app.inject({ url: '/', headers: { host: 'example.test', 'x-forwarded-proto': 'https' } })
  if (statusCode !== 200) throw new Error(`the head was accepted at boot and refused by Node: ${JSON.stringify(options)}`)
  return headers
}

function hasOnlyKnownHeaders (headers: Record<string, unknown>): boolean {
  return Object.entries(headers).every(([name, value]) =>
    (NAMES.has(name) || OF_FASTIFY.has(name)) && typeof value === 'string' && /^[\x20-\x7e]*$/.test(value))
}

test('no source of a directive can inject a header, a directive or a policy', async () => {
  await fc.assert(fc.asyncProperty(
    fc.constantFrom(...DIRECTIVES),
    fc.array(poison, { maxLength: 3 }),
    fc.constantFrom('directives', 'append', 'replace'),
    fc.constantFrom('contentSecurityPolicy', 'contentSecurityPolicyReportOnly'),
    async (directive, sources, verb, option) => {
      const change = verb === 'directives' ? sources : { [verb]: sources }
      const headers = await headOf({ [option]: { useDefaults: false, directives: { [directive]: change } } })
      if (headers === undefined) return true
      const name = option === 'contentSecurityPolicy' ? 'content-security-policy' : 'content-security-policy-report-only'
      const policy = String(headers[name] ?? directive)
      return hasOnlyKnownHeaders(headers) && !policy.includes(',') && policy.split(';').length === 1 &&
        (policy === directive || policy.startsWith(`${directive} `)) && policy.split(' ').length <= 1 + Math.max(1, sources.length)
    }
  ), { numRuns: 400 })
})

test('what a function gives for a request cannot inject either', async t => {
  let given: string | readonly string[] = ''
  const app = Fastify()
  await app.register(secureHeaders, { contentSecurityPolicy: { useDefaults: false, directives: { imgSrc: [() => given] } } })
  app.get('/', async (_, reply) => await reply.type('text/html').send('x'))
  t.teardown(() => app.close())
  await fc.assert(fc.asyncProperty(fc.oneof(poison, fc.array(poison, { maxLength: 3 })), async sources => {
    given = sources
    const { headers, statusCode } = await app.inject('/')
    const policy = String(headers['content-security-policy'])
    return hasOnlyKnownHeaders(headers) && (statusCode === 500 || (!policy.includes(',') && policy.split(';').length === 1 && policy.startsWith('img-src ')))
  }), { numRuns: 400 })
})

test('no allowlist, name or path of any other option can inject', async () => {
  const option = fc.oneof(
    fc.record({ permissionsPolicy: fc.record({ camera: fc.array(poison, { maxLength: 2 }) }) }),
    fc.record({ permissionsPolicy: fc.dictionary(poison, fc.array(poison, { maxLength: 1 }), { maxKeys: 2 }) }),
    fc.record({ reporting: fc.record({ path: poison, endpoint: poison, endpoints: fc.dictionary(poison, poison, { maxKeys: 2 }) }, { requiredKeys: [] }) }),
    fc.record({ integrityPolicy: fc.record({ endpoints: fc.array(poison), blockedDestinations: fc.array(poison) }, { requiredKeys: [] }) }),
    fc.record({ strictTransportSecurity: fc.record({ maxAge: fc.oneof(poison, fc.double(), fc.bigInt()), preload: fc.oneof(poison, fc.boolean()) }, { requiredKeys: [] }) }),
    fc.record({ cacheControl: fc.record({ value: poison }) }),
    fc.tuple(fc.constantFrom('referrerPolicy', 'xFrameOptions', 'crossOriginOpenerPolicy', 'xXssProtection', 'originAgentCluster', 'preset'), poison)
      .map(pair => Object.fromEntries([pair]))
  )
  await fc.assert(fc.asyncProperty(option, async options => {
    const headers = await headOf(options)
    if (headers === undefined) return true
    const permissions = String(headers['permissions-policy'] ?? '')
    const endpoints = String(headers['reporting-endpoints'] ?? '')
    return hasOnlyKnownHeaders(headers) &&
      permissions.split(', ').every(part => part === '' || /^[a-z-]+=(\*|\((self|"[^"]+"| )*\))$/.test(part)) &&
      endpoints.split(', ').every(part => part === '' || /^[a-z][\w.-]*="[^"]+"$/.test(part))
  }), { numRuns: 400 })
})

test('any value at any place is accepted or refused with a code, and never anything else', async () => {
  const path = fc.constantFrom('contentSecurityPolicy', 'contentSecurityPolicyReportOnly', 'strictTransportSecurity', 'permissionsPolicy', 'integrityPolicy',
    'cacheControl', 'reporting', 'hideServerIdentity', 'xFrameOptions', 'preset', 'enabled', '__proto__', 'constructor')
  await fc.assert(fc.asyncProperty(path, fc.anything({ maxDepth: 3, withNullPrototype: true, withSparseArray: true, withMap: true, withSet: true, withDate: true }), async (option, value) => {
    const options = JSON.parse(`{${JSON.stringify(option)}:null}`) as Record<string, unknown>
    Object.defineProperty(options, option, { value, enumerable: true })
    const headers = await headOf(options)
    return headers === undefined || hasOnlyKnownHeaders(headers)
  }), { numRuns: 400 })
})
