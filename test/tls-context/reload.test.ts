import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import engine from '@fastkeep/engine'
import tlsContext, { createServerContext, type ContextEvent, type ServerContext } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { handshake, listen, serveContext } from './lab.ts'
import { authority, leaf, type Issued } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const ca = root.certPem
const [first, second, other] = [await leaf(root), await leaf(root), await leaf(root, { names: ['other.test'] })]
const rsa = await leaf(root, { key: 'RSA-2048' })
const fingerprint = ({ certPem }: Issued) => new X509Certificate(certPem).fingerprint256

function write (directory: string, { certPem, keyPem }: Issued): { cert: string, key: string } {
  mkdirSync(directory, { recursive: true })
  const paths = { cert: `${directory}/cert.pem`, key: `${directory}/key.pem` }
  writeFileSync(paths.cert, certPem)
  writeFileSync(paths.key, keyPem, { mode: 0o600 })
  return paths
}

async function shownBy (t: Test, port: number, options: tls.ConnectionOptions = {}): Promise<string | undefined> {
  const socket = await handshake(t, port, { ca, ...options })
  const shown = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return shown
}

/** The next event of that name. */
function next (context: ServerContext, wanted: ContextEvent): Promise<unknown> {
  return new Promise(resolve => {
    const end = context.listen((event, details) => {
      if (event !== wanted) return
      end()
      resolve(details)
    })
  })
}

/** How a renewed certificate gets to its place; the first call makes the place. */
const changes: Record<string, (directory: string, issued: Issued, count: number) => void> = {
  'written in place': (directory, issued) => { write(directory, issued) },
  'renamed over': (directory, issued) => {
    write(`${directory}/new`, issued)
    for (const file of ['cert.pem', 'key.pem']) renameSync(`${directory}/new/${file}`, `${directory}/${file}`)
  },
  'flipped by certbot': (directory, issued, count) => {
    write(`${directory}/archive/${count}`, issued)
    for (const file of ['cert.pem', 'key.pem']) {
      rmSync(`${directory}/${file}`, { force: true })
      symlinkSync(`archive/${count}/${file}`, `${directory}/${file}`)
    }
  },
  'flipped by Kubernetes': (directory, issued, count) => {
    write(`${directory}/..${count}`, issued)
    symlinkSync(`..${count}`, `${directory}/..data_tmp`)
    renameSync(`${directory}/..data_tmp`, `${directory}/..data`)
    for (const file of count === 0 ? ['cert.pem', 'key.pem'] : []) symlinkSync(`..data/${file}`, `${directory}/${file}`)
    if (count > 0) rmSync(`${directory}/..${count - 1}`, { recursive: true })
  },
  'moved with its directory': (directory, issued, count) => {
    write(`${directory}/set${count}`, issued)
    if (count === 0) symlinkSync('set0', `${directory}/current`)
    else {
      symlinkSync(`set${count}`, `${directory}/next`)
      renameSync(`${directory}/next`, `${directory}/current`)
    }
  },
}

for (const [how, change] of Object.entries(changes)) {
  test(`a certificate that is ${how} serves by itself, time and again`, async t => {
    const directory = t.testdir({})
    change(directory, first, 0)
    const place = how === 'moved with its directory' ? `${directory}/current` : directory
    const { context, port } = await serveContext(t, { cert: `${place}/cert.pem`, key: `${place}/key.pem` })
    t.equal(await shownBy(t, port), fingerprint(first))
    for (const [index, issued] of [second, first, second].entries()) {
      const reloaded = next(context, 'reloaded')
      change(directory, issued, index + 1)
      t.match(await reloaded, { changed: ['default'] })
      t.equal(await shownBy(t, port), fingerprint(issued))
    }
  })
}

test('reload() serves what is in the files now, and an attached server of a later time too', async t => {
  const paths = write(t.testdir({}), first)
  const { context, port } = await serveContext(t, { ...paths, watch: false })
  t.same((await context.reload()).changed, [])
  write(t.testdirName, second)
  t.same((await context.reload()).changed, ['default'])
  t.equal(await shownBy(t, port), fingerprint(second))
  t.equal(context.certificate?.fingerprint256, fingerprint(second))
  const later = tls.createServer(context.options)
  t.equal(await shownBy(t, await listen(t, later)), fingerprint(second))
})

const failures: Record<string, [(directory: string) => Promise<void> | void, string]> = {
  'a key of another kind beside the certificate': [directory => writeFileSync(`${directory}/key.pem`, rsa.keyPem), 'KEY_MISMATCH'],
  'a missing file': [directory => rmSync(`${directory}/cert.pem`), 'FILE_NOT_FOUND'],
  'an empty file': [directory => writeFileSync(`${directory}/key.pem`, ''), 'NOT_PEM'],
  'an expired certificate': [async directory => { write(directory, await leaf(root, { from: -90, to: -1 })) }, 'CERTIFICATE_EXPIRED'],
}

for (const [what, [damage, error]] of Object.entries(failures)) {
  test(`${what} is refused by a reload, and what served serves on`, async t => {
    const paths = write(t.testdir({}), first)
    const { context, port } = await serveContext(t, { ...paths, watch: false })
    await damage(t.testdirName)
    const failed = next(context, 'reload-failed')
    await t.rejects(context.reload(), { code: code(error) })
    t.match(await failed, { code: code(error) })
    t.equal(await shownBy(t, port), fingerprint(first))
    write(t.testdirName, second)
    t.same((await context.reload()).changed, ['default'], 'and the next one mends it')
  })
}

test('the trial handshake refuses what no client could use', async t => {
  const paths = write(t.testdir({}), first)
  const { context, port } = await serveContext(t, { ...paths, watch: false, profile: { maxVersion: 'TLSv1.2', ciphers: ['ECDHE-ECDSA-AES128-GCM-SHA256'] } })
  // The suites of this listener need an EC key.
  write(t.testdirName, rsa)
  await t.rejects(context.reload(), { code: code('TRIAL_FAILED'), message: /no client could connect/ })
  t.equal(await shownBy(t, port), fingerprint(first))
})

test('a reload keeps the whole set of options, not the certificate alone', async t => {
  const paths = write(t.testdir({}), first)
  const { context, port } = await serveContext(t, { ...paths, watch: false, profile: 'strict256' })
  write(t.testdirName, second)
  await context.reload()
  await t.rejects(handshake(t, port, { ca, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }))
  await t.rejects(handshake(t, port, { ca, maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }))
  await t.resolves(handshake(t, port, { ca, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }))
})

test('of many names only the changed one is replaced', async t => {
  const directory = t.testdir({})
  const names = { 'other.test': write(`${directory}/other`, other), 'localhost.': write(`${directory}/local`, first) }
  const { context, port } = await serveContext(t, { ...write(directory, first), names, watch: false })
  const renewed = await leaf(root, { names: ['other.test'] })
  write(`${directory}/other`, renewed)
  t.same((await context.reload()).changed, ['other.test'])
  t.equal(await shownBy(t, port, { servername: 'other.test' }), fingerprint(renewed))
  t.equal(await shownBy(t, port), fingerprint(first))
})

test('no request is lost over 100 reloads under load, and tickets keep resuming', async t => {
  const paths = write(t.testdir({}), first)
  const context = createServerContext({ ...paths, watch: false })
  const server = https.createServer(context.options, (_request, response) => response.end('ok'))
  const port = await listen(t, server)
  t.teardown(context.attach(server))
  const load = { requests: 0, isRunning: true }
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => agent.destroy())
  const get = async (agent: https.Agent | false) => {
    const [response] = await once(https.get({ host: '127.0.0.1', port, ca, servername: 'localhost', agent }), 'response')
    const text = Buffer.concat(await response.toArray()).toString()
    if (text !== 'ok') throw new Error(`answered ${text}`)
    load.requests++
  }
  const clients = [agent, agent, false, false].map(async agent => { while (load.isRunning) await get(agent as https.Agent) })
  for (let round = 0; round < 100 || load.requests < 300; round++) {
    write(t.testdirName, round % 2 === 0 ? second : first)
    t.same((await context.reload()).changed, ['default'])
  }
  load.isRunning = false
  await t.resolves(Promise.all(clients), 'every request was answered')
  t.ok(load.requests >= 300, `${load.requests} requests`)

  const socket = await handshake(t, port, { ca, maxVersion: 'TLSv1.2' })
  const session = socket.getSession() as Buffer
  write(t.testdirName, second)
  await context.reload()
  t.ok((await handshake(t, port, { ca, maxVersion: 'TLSv1.2', session })).isSessionReused())
})

test('graceful on the bus renews, over HTTP/2 and on every address of localhost', async t => {
  const paths = write(t.testdir({}), first)
  const context = createServerContext({ ...paths, watch: false })
  const app = Fastify({ http2: true, https: context.options }) as unknown as FastifyInstance
  await app.register(engine, { signals: false, crash: false })
  await app.register(tlsContext, { context })
  await app.listen({ port: 0, host: 'localhost' })
  t.teardown(() => app.close())
  write(t.testdirName, second)
  await app.engine.graceful()
  for (const { address, port } of app.addresses() as AddressInfo[]) t.equal(await shownBy(t, port, { host: address, ALPNProtocols: ['h2'] }), fingerprint(second), address)
})
