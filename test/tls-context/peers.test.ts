import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import tlsContext, { createClientContext, createServerContext } from '@fastkeep/tls-context'
import { chromium } from 'playwright-core'
import { test, type Test } from 'tap'
import { freePort } from '../../bench/free-port.ts'
import { Child } from '../child.ts'
import { needs, pathOf } from '../programs.ts'
import { answering } from './lab.ts'
import { authority, files, leaf } from './pki.ts'

const root = await authority('CN=Lab root')
const clients = await authority('CN=Lab clients')
const server = await leaf(root, { names: ['localhost', '127.0.0.1'] })
const alice = await leaf(clients, { subject: 'CN=alice', names: [], use: 'client' })

async function guarded (t: Test): Promise<number> {
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, client: { ca: clients.certPem, verify: { commonName: 'alice' } } })
  const app = Fastify({ https: context.options }) as unknown as FastifyInstance
  await app.register(tlsContext, { context })
  app.get('/', async request => ({ who: request.tls?.peer?.commonName }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return (app.server.address() as AddressInfo).port
}

/** nginx in the foreground, for this test alone. */
async function nginx (t: Test, http: string, port: number): Promise<void> {
  const directory = t.testdirName
  mkdirSync(`${directory}/temporary`, { recursive: true })
  for (const path of [directory, `${directory}/temporary`]) chmodSync(path, 0o755)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${directory}/temporary/${kind};`).join(' ')
  writeFileSync(`${directory}/nginx.conf`, `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr; events {} http { access_log off; ${temporary} ${http} }`)
  const child = new Child(t, 'nginx', ['-c', `${directory}/nginx.conf`, '-p', directory, '-e', 'stderr'])
  await Promise.race([answering(port), child.ended.then(() => { throw new Error(child.output) })])
}

async function get (request: http.ClientRequest): Promise<{ status: number | undefined, body: string }> {
  const [response] = await once(request, 'response')
  return { status: response.statusCode, body: Buffer.concat(await response.toArray()).toString() }
}

test('nginx in front reaches us with its client certificate, and one without does not', { skip: needs('nginx') }, async t => {
  t.testdir({})
  const [upstream, port] = [await guarded(t), await freePort()]
  const { cert, key } = files(t, 'alice', alice)
  const { cert: ca } = files(t, 'root', root)
  const proxy = `proxy_pass https://127.0.0.1:${upstream}; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${ca}; proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;`
  await nginx(t, `server { listen 127.0.0.1:${port}; location /with { ${proxy} proxy_ssl_certificate ${cert}; proxy_ssl_certificate_key ${key}; rewrite .* / break; } location /without { ${proxy} proxy_ssl_session_reuse off; rewrite .* / break; } }`, port)
  t.match(await get(http.get(`http://127.0.0.1:${port}/with`)), { status: 200, body: '{"who":"alice"}' })
  t.match(await get(http.get(`http://127.0.0.1:${port}/without`)), { status: /400|502/ })
})

test('our client shows its certificate to nginx', { skip: needs('nginx') }, async t => {
  t.testdir({})
  const port = await freePort()
  const { cert, key } = files(t, 'server', server)
  const { cert: ca } = files(t, 'clients', clients)
  await nginx(t, `server { listen 127.0.0.1:${port} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_client_certificate ${ca}; ssl_verify_client on; location / { return 200 $ssl_client_s_dn; } }`, port)
  const ask = async (options: object) => await get(https.get({ host: '127.0.0.1', servername: 'localhost', port, agent: createClientContext({ ca: root.certPem, ...options }).agent() }))
  t.match(await ask({ cert: alice.certPem, key: alice.keyPem }), { status: 200, body: 'CN=alice' })
  t.match(await ask({}), { status: 400, body: /No required SSL certificate/ })
})

test('openssl s_client and s_server are peers of ours', { skip: needs('openssl') }, async t => {
  t.testdir({})
  const port = await guarded(t)
  const { cert, key } = files(t, 'alice', alice)
  const { cert: ca } = files(t, 'root', root)
  const run = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)('sh', ['-c', `printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -connect 127.0.0.1:${port} -servername localhost -CAfile ${ca} -verify_return_error -ign_eof ${args.join(' ')} 2>&1 || true`])
    return stdout
  }
  t.match(await run('-cert', cert, '-key', key), /"who":"alice"/)
  t.notMatch(await run(), /"who"/)

  const serverFiles = files(t, 'server', server)
  const itsPort = await freePort()
  const child = new Child(t, 'openssl', ['s_server', '-accept', `127.0.0.1:${itsPort}`, '-cert', serverFiles.cert, '-key', serverFiles.key, '-www'])
  await child.match(/ACCEPT/)
  t.match(await get(https.get({ host: '127.0.0.1', servername: 'localhost', port: itsPort, agent: createClientContext({ ca: root.certPem }).agent() })), { status: 200, body: /TLSv1\.3/ })
})

test('Chromium that trusts the authority takes the strict profile', { skip: needs('chromium') || needs('certutil') }, async t => {
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, watch: false, profile: 'strict256' })
  const app = Fastify({ https: context.options, forceCloseConnections: true }) as unknown as FastifyInstance
  await app.register(tlsContext, { context })
  app.get('/', async request => `${request.tls?.protocol} ${request.tls?.cipher}`)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const home = t.testdir({})
  const { cert } = files(t, 'root', root)
  // Chromium on Linux trusts what is in this database of the user.
  await promisify(execFile)('sh', ['-c', `mkdir -p ${home}/.pki/nssdb && certutil -d sql:${home}/.pki/nssdb -N --empty-password && certutil -d sql:${home}/.pki/nssdb -A -t C,, -n lab -i ${cert}`])
  const browser = await chromium.launch({ executablePath: pathOf('chromium') as string, args: ['--no-sandbox'], env: { ...process.env, HOME: home } as Record<string, string> })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const response = await page.goto(`https://localhost:${(app.server.address() as AddressInfo).port}/`)
  t.equal(response?.status(), 200)
  t.match(await page.textContent('body'), /^TLSv1\.3 TLS_AES_256_GCM_SHA384$/)
  t.match(await response?.securityDetails(), { issuer: 'Lab root', protocol: 'TLS 1.3' })
})
