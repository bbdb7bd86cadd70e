import { execFileSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { createServerContext } from '@fastkeep/tls-context'
import { test } from 'tap'
import { Child, plainEnvironment } from '../child.ts'
import { needs } from '../programs.ts'
import { handshake, listen } from './lab.ts'
import { authority, files, leaf } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const intermediate = await authority('CN=Lab intermediate', { issuer: root })
const server = await leaf(intermediate)

test('the chain may lie in a file of its own, and the key beside the certificate', async t => {
  t.testdir({})
  const { key } = files(t, 'server', server)
  const chain = files(t, 'chain', intermediate).cert
  const expected = createServerContext({ cert: server.certPem + intermediate.certPem, key }).options
  t.same(createServerContext({ cert: server.certPem, key, chain }).options.cert, expected.cert)
  t.same(createServerContext({ cert: server.keyPem + server.certPem + intermediate.certPem }).options.cert, expected.cert)
})

for (const [what, args] of Object.entries({ 'with AES-256': [], 'with triple DES': ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'], 'with AES for the key alone': ['-certpbe', 'NONE'] })) {
  test(`PKCS#12 ${what} gives certificate, chain and key`, { skip: needs('openssl') }, async t => {
    const directory = t.testdir({})
    const { cert, key } = files(t, 'server', server, intermediate)
    const pfx = `${directory}/server.pfx`
    execFileSync('openssl', ['pkcs12', '-export', '-in', cert, '-inkey', key, '-out', pfx, '-passout', 'pass:sesame', ...args])
    const context = createServerContext({ pfx, passphrase: 'sesame' })
    t.same(context.options.cert, createServerContext({ cert, key }).options.cert)
    t.same(createServerContext({ pfx: readFileSync(pfx), passphrase: 'sesame' }).options.cert, context.options.cert)
    const port = await listen(t, tls.createServer(context.options))
    t.ok((await handshake(t, port, { ca: root.certPem })).authorized)
    t.throws(() => createServerContext({ pfx, passphrase: 'barley' }), { code: code('PASSPHRASE_WRONG') })
    t.throws(() => createServerContext({ pfx }), { code: code('PASSPHRASE_MISSING') })
  })
}

test('PKCS#12 that is damaged, and PEM in its place, are called that', async t => {
  t.throws(() => createServerContext({ pfx: Buffer.from('3000', 'hex') }), { code: code('PFX_INVALID') })
  t.throws(() => createServerContext({ pfx: Buffer.from(server.certPem) }), { code: code('PFX_INVALID'), message: /"cert" and "key"/ })
  t.throws(() => createServerContext({ pfx: Buffer.from('3000', 'hex'), cert: 'cert.pem' }), { code: code('CERTIFICATE_MISSING'), message: /contradict/ })
})

test('a passphrase comes from a file or from a descriptor', { skip: needs('openssl') }, async t => {
  const directory = t.testdir({ passphrase: 'sesame\nsecond line\n', empty: '\n' })
  const { cert, key } = files(t, 'server', server, intermediate)
  const encrypted = `${directory}/encrypted.key`
  execFileSync('openssl', ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', key, '-out', encrypted, '-passout', 'pass:sesame'])
  const create = (passphrase: object) => createServerContext({ cert, key: encrypted, passphrase: passphrase as { file: string } })
  t.doesNotThrow(() => create({ file: `${directory}/passphrase` }))
  const descriptor = openSync(`${directory}/passphrase`, 'r')
  t.doesNotThrow(() => create({ descriptor }))
  closeSync(descriptor)
  t.doesNotThrow(() => create({ descriptor }), 'it is read once, for a reload too')
  t.throws(() => create({ file: `${directory}/empty` }), { code: code('PASSPHRASE_MISSING'), message: /first line is empty/ })
  t.throws(() => create({ file: `${directory}/nowhere` }), { code: code('PASSPHRASE_MISSING'), message: /ENOENT/ })
  t.throws(() => create({ fil: 'x' }), { code: code('OPTION_INVALID'), message: /"passphrase" must be .* \{ prompt: true \}/ })
})

test('a passphrase is asked for on the terminal, and not shown', { skip: needs('openssl') || needs('script') }, async t => {
  const directory = t.testdir({})
  const { cert, key } = files(t, 'server', server, intermediate)
  const encrypted = `${directory}/encrypted.key`
  execFileSync('openssl', ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', key, '-out', encrypted, '-passout', 'pass:sesame'])
  // script gives it a terminal, and types what comes through its standard input.
  const command = `"${process.execPath}" "${fixture('asks-for-passphrase.js')}"; echo finished`
  const child = new Child(t, 'script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...plainEnvironment(), CERT: cert, KEY: encrypted } })
  await child.match(/Passphrase of .*encrypted\.key: /)
  child.process.stdin?.write('sesamX\x7fe\n')
  await child.match(/opened[^]*finished/)
  t.notMatch(child.output, /sesam/)
})

test('what the engine keeps for this process is taken in place of its file and of the terminal', async t => {
  const key = Symbol.for('@fastkeep/engine:secrets')
  const holder = globalThis as { [key: symbol]: unknown }
  const before = holder[key]
  t.teardown(() => { holder[key] = before })
  const directory = t.testdir({})
  const { cert } = files(t, 'server', server, intermediate)
  const kept = new Map([[`${directory}/only-for-root.key`, createPrivateKey(server.keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' }) as string]])
  const asked: string[] = []
  holder[key] = {
    file: (path: string) => kept.has(path) ? Buffer.from(kept.get(path) as string) : undefined,
    askPassphrase: (of: string) => { asked.push(of); return 'sesame' },
  }
  const context = createServerContext({ cert, key: `${directory}/only-for-root.key`, passphrase: { prompt: true } })
  t.same(asked, [`${directory}/only-for-root.key`])
  t.notMatch(context.findings, [{ code: 'KEY_FILE_MODE' }])
  holder[key] = { file: () => undefined, askPassphrase: () => undefined }
  t.throws(() => createServerContext({ cert, key: [...kept.values()][0] as string, passphrase: { prompt: true } }), { code: code('PASSPHRASE_MISSING'), message: /--ask-passphrase/ })
})

test('without a terminal the prompt says so', { skip: needs('setsid') }, async t => {
  t.testdir({})
  const { cert } = files(t, 'server', server, intermediate)
  const KEY = createPrivateKey(server.keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
  const child = new Child(t, 'setsid', ['--wait', process.execPath, fixture('asks-for-passphrase.js')], { env: { ...plainEnvironment(), CERT: cert, KEY } })
  t.equal((await child.ended).code, 1)
  t.match(child.output, /there is no terminal to ask .*[^]*PASSPHRASE_MISSING/)
})

function fixture (name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
}
