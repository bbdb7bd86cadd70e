import { createHash, sign, createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { execFile } from 'node:child_process'
import http from 'node:http'
import { type Server } from 'node:net'
import { promisify } from 'node:util'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createServerContext, type ContextEvent, type ServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { needs } from '../programs.ts'
import { handshake, listen } from './lab.ts'
import { authority, files, leaf, type Issued } from './pki.ts'

const root = await authority('CN=Lab root')
const intermediate = await authority('CN=Lab intermediate', { issuer: root })
const ca = root.certPem
const minute = 60_000

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  return Buffer.concat([Buffer.from(length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255]), content])
}
const time = (offset: number) => der(0x18, Buffer.from(new Date(Date.now() + offset).toISOString().replaceAll(/[-:T]|\.\d+/g, '')))

interface Answer {
  status?: 'good' | 'revoked'
  signer?: Issued
  certificates?: Issued[]
  from?: number
  next?: number
  http?: number
  /** The CertID of the answer, where it is not the one of the request. */
  about?: Buffer
}

/** A response to the one certificate that a request names, in ASN.1 written here, so that it proves something about ours. */
function ocspResponse (request: Buffer, { status = 'good', signer = intermediate, certificates = [], from = -minute, next = 60 * minute, about }: Answer): Buffer {
  // OCSPRequest, TBSRequest, requestList and Request are four headers of two octets around the CertID.
  const certId = about ?? request.subarray(8)
  const keyHash = createHash('sha1').update(new X509Certificate(signer.certPem).publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)).digest()
  const data = der(0x30,
    der(0xa2, der(0x04, keyHash)),
    time(0),
    der(0x30, der(0x30, certId, status === 'good' ? Buffer.from('8000', 'hex') : der(0xa1, time(-minute)), time(from), der(0xa0, time(next)))))
  const signature = sign('sha256', data, createPrivateKey(signer.keyPem))
  const chain = certificates.length === 0 ? [] : [der(0xa0, der(0x30, ...certificates.map(({ certPem }) => new X509Certificate(certPem).raw)))]
  const basic = der(0x30, data, Buffer.from('300a06082a8648ce3d040302', 'hex'), der(0x03, Buffer.from([0]), signature), ...chain)
  return der(0x30, Buffer.from('0a0100', 'hex'), der(0xa0, der(0x30, Buffer.from('06092b0601050507300101', 'hex'), der(0x04, basic))))
}

async function responder (t: Test, answer: Answer): Promise<{ url: string, requests: () => number }> {
  let requests = 0
  const server = http.createServer((request, response) => {
    requests++
    request.toArray().then(chunks => response.writeHead(answer.http ?? 200).end(ocspResponse(Buffer.concat(chunks), answer)), () => {})
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}/`, requests: () => requests }
}

async function serve (t: Test, issued: Issued): Promise<{ port: number, context: ServerContext, event: Promise<string> }> {
  const context = createServerContext({ cert: issued.certPem + intermediate.certPem, key: issued.keyPem, watch: false })
  const event = new Promise<string>(resolve => {
    context.listen((name: ContextEvent, details) => resolve(`${name} ${(details as { reason?: string }).reason ?? ''}`))
  })
  const server = tls.createServer(context.options)
  const port = await listen(t, server)
  t.teardown(context.attach(server))
  return { port, context, event }
}

async function stapled (t: Test, port: number): Promise<Buffer | null> {
  const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca, requestOCSP: true } as tls.ConnectionOptions)
  t.teardown(() => socket.destroy())
  const [response] = await once(socket, 'OCSPResponse')
  return response
}

test('a good response is fetched once and stapled to every handshake', async t => {
  const { url, requests } = await responder(t, {})
  const { port, event } = await serve(t, await leaf(intermediate, { ocsp: url }))
  t.match(await event, /^stapled/)
  for (let count = 0; count < 3; count++) t.ok(await stapled(t, port))
  t.equal(requests(), 1)
})

test('openssl takes the staple as good', { skip: needs('openssl') }, async t => {
  const { url } = await responder(t, {})
  const { port, event } = await serve(t, await leaf(intermediate, { ocsp: url }))
  await event
  t.testdir({})
  const { cert } = files(t, 'root', root)
  const { stdout } = await promisify(execFile)('sh', ['-c', `openssl s_client -connect 127.0.0.1:${port} -servername localhost -status -CAfile ${cert} </dev/null`])
  t.match(stdout, /OCSP Response Status: successful[^]*Cert Status: good/)
})

test('a responder that the issuer has authorized may sign', async t => {
  const delegate = await leaf(intermediate, { names: [], subject: 'CN=OCSP', use: 'ocsp' })
  const { url } = await responder(t, { signer: delegate, certificates: [delegate] })
  const { event } = await serve(t, await leaf(intermediate, { ocsp: url }))
  t.match(await event, /^stapled/)
})

const other = await authority('CN=Other')
const notForOcsp = await leaf(intermediate, { names: ['x.test'] })
const bad: Record<string, [Answer, RegExp]> = {
  'that says revoked': [{ status: 'revoked' }, /revoked/],
  'that another authority signed': [{ signer: other }, /neither the issuer nor a responder/],
  'that a certificate signed which is not for that': [{ signer: notForOcsp, certificates: [notForOcsp] }, /neither the issuer nor a responder/],
  'that is out of date': [{ from: -120 * minute, next: -60 * minute }, /was to be replaced/],
  'of the future': [{ from: 60 * minute }, /of the future/],
  'about another certificate': [{ about: Buffer.from('3003020101', 'hex') }, /another certificate/],
  'that is an error page': [{ http: 503 }, /answered 503/],
}

for (const [what, [answer, reason]] of Object.entries(bad)) {
  test(`a response ${what} is not stapled, and said`, async t => {
    const { url } = await responder(t, answer)
    const { port, event } = await serve(t, await leaf(intermediate, { ocsp: url }))
    t.match(await event, /^staple-failed/)
    t.match(await event, reason)
    t.equal(await stapled(t, port), null)
  })
}

test('a responder that is not there is no reason not to serve', async t => {
  const { port, event } = await serve(t, await leaf(intermediate, { ocsp: 'http://127.0.0.1:9/' }))
  t.match(await event, /staple-failed.*ECONNREFUSED/)
  t.equal(await stapled(t, port), null)
  t.ok((await handshake(t, port, { ca })).authorized)
})

test('a certificate that demands a staple stops the start without one, and starts with one', async t => {
  const start = async (url: string) => {
    const issued = await leaf(intermediate, { ocsp: url, mustStaple: true })
    const context = createServerContext({ cert: issued.certPem + intermediate.certPem, key: issued.keyPem, watch: false })
    const app = Fastify({ https: context.options }) as unknown as FastifyInstance
    t.teardown(() => app.close())
    await app.register(tlsContext, { context })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server as unknown as Server).address() as { port: number }
  }
  await t.rejects(start('http://127.0.0.1:9/'), { code: 'FST_KEEP_TLS_CONTEXT_STAPLE_MISSING', exitCode: 78 })
  const { url } = await responder(t, {})
  t.ok(await stapled(t, (await start(url)).port))
})

test('a renewal that demands a staple serves only when it has one, and what serves goes on until then', async t => {
  const { url } = await responder(t, {})
  const first = await leaf(intermediate, { ocsp: url, mustStaple: true })
  t.testdir({})
  const paths = files(t, 'server', first, intermediate)
  const context = createServerContext({ ...paths, watch: false })
  const server = tls.createServer(context.options)
  const port = await listen(t, server)
  t.teardown(context.attach(server))
  await context.ready()
  const shown = async () => (await handshake(t, port, { ca, requestOCSP: true } as tls.ConnectionOptions)).getPeerX509Certificate()?.serialNumber.toLowerCase()

  files(t, 'server', await leaf(intermediate, { ocsp: 'http://127.0.0.1:9/', mustStaple: true }), intermediate)
  await t.rejects(context.reload(), { code: 'FST_KEEP_TLS_CONTEXT_STAPLE_MISSING' })
  t.equal(await shown(), first.certificate.serialNumber)
  t.ok(await stapled(t, port), 'with its staple')

  const renewed = await leaf(intermediate, { ocsp: url, mustStaple: true })
  files(t, 'server', renewed, intermediate)
  await context.reload()
  t.ok(await stapled(t, port), 'from the first handshake on')
  t.equal(await shown(), renewed.certificate.serialNumber)
})

test('a certificate that demands a staple is refused without its issuer, whom the responder has to be asked about', async t => {
  const issued = await leaf(intermediate, { ocsp: 'http://127.0.0.1:9/', mustStaple: true })
  t.throws(() => createServerContext({ cert: issued.certPem, key: issued.keyPem }), { code: 'FST_KEEP_TLS_CONTEXT_MUST_STAPLE', message: /append the certificate of its issuer/ })
})
