import { createServer, type AddressInfo } from 'node:net'
import https from 'node:https'
import http from 'node:http'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import secureHeaders from '@fastkeep/secure-headers'
import tlsContext, { createServerContext, grade, gradeSummary, isGradeAtLeast, selfGrade, type GradeReport } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { listen } from './lab.ts'
import { authority, leaf } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const server = await leaf(root, { names: ['service.test'] })
const source = { cert: server.certPem, key: server.keyPem }

async function app (t: Test, profile: 'intermediate' | 'strict256' = 'strict256'): Promise<FastifyInstance> {
  const context = createServerContext({ ...source, profile, watch: false })
  const app = Fastify({ https: context.options }) as unknown as FastifyInstance
  await app.register(tlsContext, { context })
  await app.register(secureHeaders)
  app.get('/', async () => 'x')
  t.teardown(() => app.close())
  return app
}

test('an app grades itself, by the first name of its certificate', async t => {
  const report = await selfGrade(await app(t), { ca: root.certPem })
  t.equal(report.grade, 'A+')
  t.equal(report.servername, 'service.test')
  t.match(report.strictTransportSecurity, /max-age=63072000/)
})

test('the report tells all that was seen, and JSON carries it', async t => {
  const report = JSON.parse(JSON.stringify(await selfGrade(await app(t, 'intermediate'), { ca: root.certPem }))) as GradeReport
  t.same(report.protocols.map(({ name, hasServerPreference }) => [name, hasServerPreference]), [['TLSv1.3', false], ['TLSv1.2', false]])
  t.same(report.protocols[1]?.suites.map(({ name }) => name).sort(), ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'])
  const hasHybrid = report.groups.some(({ isHybrid }) => isHybrid)
  t.same(report.groups.filter(({ isHybrid }) => !isHybrid).map(({ name }) => name), ['x25519', 'secp256r1', 'secp384r1'])
  t.equal(hasHybrid, process.versions.openssl.startsWith('3.0') === false)
  t.match(report.certificates, [{ subject: 'CN=service.test', keyType: 'ec', keyBits: 256, signatureAlgorithm: 'ecdsaWithSha256', chainLength: 1, hasName: true, faults: [] }])
  t.match(report, { hasSecureRenegotiation: true, hasExtendedMasterSecret: true, hasCompression: false, tickets: { offered: true }, hasStaple: false, registryDate: /^20\d\d-/ })
  t.ok(report.notProbed.some(text => text.includes('Heartbleed')))
  t.ok(report.connections < 60, `${report.connections} connections`)
})

test('the summary fits one screen and says why', async t => {
  const text = gradeSummary(await selfGrade(await app(t)))
  t.match(text, /^127\.0\.0\.1:\d+ as service\.test {3}T \(A\+ if it were trusted\)/)
  t.match(text, /at most T: +the certificate \(CN=service\.test, ec 256\)/)
  t.match(text, /TLSv1\.3 +2 suites, the server chooses/)
  t.match(text, /not looked at: exploits/)
  t.ok(text.split('\n').length < 30)
})

test('the lifetime of tickets is told', async t => {
  const options = createServerContext({ ...source, tickets: { epoch: 3_600_000 } }).options
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const port = await listen(t, https.createServer({ ...options, maxVersion }, (_request, response) => response.end('x')))
    const { tickets } = await grade('127.0.0.1', port, { servername: 'service.test', ca: root.certPem })
    t.same(tickets, { offered: true, lifetime: 1_800 }, maxVersion)
  }
})

test('what is not there, no TLS, or silent, is said to be', async t => {
  const port = await listen(t, http.createServer((_request, response) => response.end('x')))
  await t.rejects(grade('127.0.0.1', port), { code: code('SCAN_FAILED'), message: /answers, and not with TLS/ })
  const silent = await listen(t, createServer(socket => { socket.on('error', () => {}).resume() }))
  await t.rejects(grade('127.0.0.1', silent, { timeout: 100 }), { code: code('SCAN_FAILED') })
  const gone = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => gone.once('listening', resolve))
  const { port: closed } = gone.address() as AddressInfo
  await new Promise(resolve => gone.close(resolve))
  await t.rejects(grade('127.0.0.1', closed), { code: code('SCAN_FAILED'), message: /ECONNREFUSED/ })
  await t.rejects(grade('127.0.0.1', 0), { code: code('OPTION_INVALID'), message: /"port"/ })
  await t.rejects(grade('127.0.0.1', 443, { rulset: 'testssl' } as object), { code: code('OPTION_UNKNOWN') })
})

test('a server that answers nonsense ends no process and gets no grade', async t => {
  let count = 0
  const port = await listen(t, createServer(socket => {
    socket.on('error', () => {}).resume()
    // Records of every type with lengths that lie.
    const bytes = Buffer.from(Array.from({ length: 200 }, () => Math.floor(Math.random() * 256)))
    const heads = ['160303', '150303', '1603030028020000240303', '80ff04', '']
    socket.end(Buffer.concat([Buffer.from(heads[count++ % heads.length] ?? '', 'hex'), bytes]))
  }))
  await t.rejects(grade('127.0.0.1', port, { timeout: 200 }), { code: code('SCAN_FAILED') })
})

test('grades are compared', async t => {
  t.ok(isGradeAtLeast('A+', 'A'))
  t.ok(isGradeAtLeast('A', 'A'))
  t.notOk(isGradeAtLeast('A-', 'A'))
  t.notOk(isGradeAtLeast('T', 'F'))
})

test('a server without HTTP is graded all the same', async t => {
  const port = await listen(t, tls.createServer(createServerContext(source).options, socket => socket.on('error', () => {}).resume().end('220 mail\r\n')))
  t.match(await grade('127.0.0.1', port, { servername: 'service.test', ca: root.certPem, ruleset: 'testssl' }), { grade: 'A+', strictTransportSecurity: undefined })
})
