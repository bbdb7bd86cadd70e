import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createPrivateKey } from 'node:crypto'
import { execFileSync } from 'node:child_process'

import { createServerContext, runtimeAdvisories, validate, type Finding, type ServerContextOptions } from '@fastkeep/tls-context'
import { test } from 'tap'
import { needs } from '../programs.ts'
import { authority, files, leaf, x509, type Issued, type Wish } from './pki.ts'

const root = await authority('CN=Lab root')
const intermediate = await authority('CN=Lab intermediate', { issuer: root })
const good = await leaf(intermediate)
const chainOf = (...issued: readonly Issued[]) => issued.map(({ certPem }) => certPem).join('')
/** What is found besides what this Node version is told. */
const found = (options: ServerContextOptions): Finding[] => validate(options).filter(({ code }) => code !== 'RUNTIME_ADVISORY')
const codes = (options: ServerContextOptions) => found(options).map(({ code, severity }) => `${severity} ${code}`)
const codesOf = async (wish: Wish, ...chain: readonly Issued[]) => {
  const issued = await leaf(chain[0] ?? intermediate, wish)
  return codes({ cert: chainOf(issued, ...chain.length > 0 ? chain : [intermediate]), key: issued.keyPem })
}

test('a good certificate has no findings', async t => {
  t.same(found({ cert: chainOf(good, intermediate), key: good.keyPem }), [])
})

const wishes: Record<string, [Wish, string]> = {
  'that has expired': [{ from: -90, to: -1 }, 'error CERTIFICATE_EXPIRED'],
  'of the future': [{ from: 1, to: 90 }, 'error CERTIFICATE_NOT_YET_VALID'],
  'with fewer than 30 days left': [{ from: -70, to: 20 }, 'warning EXPIRES_SOON'],
  'of six days of which one is left': [{ from: -5, to: 1 }, 'warning EXPIRES_SOON'],
  'of more than 200 days': [{ to: 364 }, 'info LIFETIME_TOO_LONG'],
  'with an RSA key of 1024 bits': [{ key: 'RSA-1024' }, 'error WEAK_KEY'],
  'signed with SHA-1': [{ hash: 'SHA-1' }, 'error WEAK_SIGNATURE'],
  'without a subjectAltName': [{ names: [] }, 'warning NO_SUBJECT_ALT_NAME'],
  'for clients': [{ use: 'client' }, 'error NO_SERVER_AUTH'],
  'that may not sign': [{ keyUsage: x509.KeyUsageFlags.keyEncipherment }, 'error KEY_USAGE'],
  'that demands a staple of nobody': [{ mustStaple: true }, 'error MUST_STAPLE'],
}

for (const [what, [wish, code]] of Object.entries(wishes)) {
  test(`a certificate ${what}: ${code}`, async t => {
    t.same(await codesOf(wish), [code])
  })
}

test('a certificate of six days of which five are left is in order', async t => {
  t.same(await codesOf({ from: -1, to: 5 }), [])
})

test('errors stop the start with their code, the value and what to do', async t => {
  const expired = await leaf(intermediate, { from: -90, to: -1 })
  t.throws(() => createServerContext({ cert: chainOf(expired, intermediate), key: expired.keyPem }), { code: 'FST_KEEP_TLS_CONTEXT_CERTIFICATE_EXPIRED', exitCode: 78, message: /CN=localhost.* expired at 20.*: renew it/ })
})

test('warnings are on the context', async t => {
  const soon = await leaf(intermediate, { from: -70, to: 20 })
  t.match(createServerContext({ cert: chainOf(soon, intermediate), key: soon.keyPem }).findings.filter(({ code }) => code !== 'RUNTIME_ADVISORY'), [{ code: 'EXPIRES_SOON', severity: 'warning', message: /in (19|20) days/ }])
})

test('a self-signed certificate is a warning, and one of an authority too', async t => {
  const selfSigned = await leaf(undefined)
  t.same(codes({ cert: selfSigned.certPem, key: selfSigned.keyPem }), ['warning SELF_SIGNED'])
  const ca = await authority('CN=localhost', { issuer: intermediate, to: 89 })
  t.ok(codes({ cert: chainOf(ca, intermediate), key: ca.keyPem }).includes('warning LEAF_IS_AUTHORITY'))
})

test('the order of the chain, a stranger, a duplicate and the root in it are found', async t => {
  const second = await authority('CN=Lab second', { issuer: intermediate })
  const deep = await leaf(second)
  t.same(codes({ cert: chainOf(deep, intermediate, second), key: deep.keyPem }), ['warning CHAIN_ORDER'])
  t.same(codes({ cert: chainOf(deep, second, intermediate), key: deep.keyPem }), [])
  const stranger = await authority('CN=Stranger', { issuer: await authority('CN=Elsewhere') })
  t.same(codes({ cert: chainOf(good, intermediate, stranger), key: good.keyPem }), ['warning CHAIN_ORDER'])
  t.same(codes({ cert: chainOf(good, intermediate, intermediate), key: good.keyPem }), ['warning CERTIFICATE_DUPLICATE'])
  t.same(codes({ cert: chainOf(good, intermediate, root), key: good.keyPem }), ['warning CHAIN_HAS_ROOT'])
})

test('a missing intermediate certificate is found where the certificate tells that there is one', async t => {
  const issued = await leaf(intermediate, { issuerUrl: 'http://ca.test/intermediate.cer' })
  const [incomplete] = found({ cert: issued.certPem, key: issued.keyPem })
  t.match(incomplete, { code: 'CHAIN_INCOMPLETE', severity: 'warning', message: /CN=Lab intermediate/, fix: /http:\/\/ca\.test/ })
  t.same(codes({ cert: chainOf(issued, intermediate), key: issued.keyPem }), [])
})

test('an expired intermediate certificate is a warning, for old clients may need it', async t => {
  const old = await authority('CN=Lab old', { issuer: root, from: -90, to: -1 })
  t.same(await codesOf({}, old), ['warning CHAIN_EXPIRED'])
})

test('a certificate that does not cover a name asked for is an error', async t => {
  const options = { cert: chainOf(good, intermediate), key: good.keyPem }
  t.same(codes({ ...options, hosts: ['localhost', '127.0.0.1'] }), [])
  t.same(codes({ ...options, hosts: ['example.test'] }), ['error HOST_MISMATCH'])
  t.same(codes({ ...options, names: { 'example.test': options } }), ['error HOST_MISMATCH'])
  const wildcard = await leaf(intermediate, { names: ['*.example.test'] })
  const wild = { cert: chainOf(wildcard, intermediate), key: wildcard.keyPem }
  t.same(codes({ ...options, names: { '*.example.test': wild, 'a.example.test': wild } }), [])
  t.same(codes({ ...options, names: { '*.other.test': wild } }), ['error HOST_MISMATCH'])
})

test('a key file that others can read is a warning, one for a group is none', async t => {
  t.testdir({})
  const paths = files(t, 'server', good, intermediate)
  t.same(codes(paths), [])
  chmodSync(paths.key, 0o640)
  t.same(codes(paths), [])
  chmodSync(paths.key, 0o644)
  t.match(found(paths), [{ code: 'KEY_FILE_MODE', message: /mode 0644/, fix: /chmod 0600/ }])
})

test('a weak encryption of the key is a warning, with its name', { skip: needs('openssl') }, async t => {
  const directory = t.testdir({})
  const { cert, key } = files(t, 'server', good, intermediate)
  const convert = (...args: string[]) => execFileSync('openssl', [...args, '-in', key, '-out', `${directory}/encrypted.key`, '-passout', 'pass:sesame'], { stdio: 'pipe' })
  const check = () => found({ cert, key: `${directory}/encrypted.key`, passphrase: 'sesame' })
  convert('pkcs8', '-topk8', '-v2', 'des3')
  chmodSync(`${directory}/encrypted.key`, 0o600)
  t.match(check(), [{ code: 'KEY_WEAK_ENCRYPTION', message: /DES-EDE3-CBC/, fix: /scrypt/ }])
  convert('ec', '-aes256')
  t.match(check(), [{ code: 'KEY_LEGACY_DERIVATION', message: /one round of MD5/ }])
  convert('pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-scrypt')
  t.same(check(), [])
  writeFileSync(`${directory}/encrypted.key`, createPrivateKey(readFileSync(key)).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' }))
  t.same(check(), [])
})

test('parameters for DHE of less than 2048 bits are refused', { skip: needs('openssl') }, async t => {
  const small = execFileSync('openssl', ['dhparam', '-dsaparam', '1024'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const large = execFileSync('openssl', ['dhparam', '-dsaparam', '2048'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const options = { cert: chainOf(good, intermediate), key: good.keyPem }
  t.match(found({ ...options, dhparam: small }), [{ code: 'DH_TOO_SMALL', message: /1024 bits/ }])
  t.same(found({ ...options, dhparam: large }), [])
})

test('a Node below its security floor is told, with the version to run', async t => {
  t.match(runtimeAdvisories('v20.20.2'), [{ code: 'RUNTIME_ADVISORY', message: /no security fixes any more/ }])
  t.match(runtimeAdvisories('v24.22.0'), [{ fix: 'run Node 24.22.1 or later' }])
  for (const version of ['v22.23.4', 'v24.22.1', 'v26.12.1', 'v27.0.0']) t.same(runtimeAdvisories(version), [], version)
})

test('a finding names the file that cannot be read, and nothing is thrown', async t => {
  t.match(found({ cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' }), [{ code: 'FILE_NOT_FOUND', severity: 'error', message: /\/nowhere\/cert\.pem/ }])
})

test('a worker of node:cluster whose tickets no other one can open is a warning', async t => {
  const script = `
    import cluster from 'node:cluster'
    import { TicketChain, validate } from '@fastkeep/tls-context'
    if (cluster.isPrimary) cluster.fork().on('message', codes => { console.log(JSON.stringify(codes)); process.exit() })
    else {
      const { CERT: cert, KEY: key } = process.env
      const codes = tickets => validate({ cert, key, tickets }).filter(({ code }) => code.startsWith('TICKETS')).map(({ code }) => code)
      process.send([codes({}), codes({ link: new TicketChain().link() }), codes({ secret: Buffer.alloc(32) }), codes(false)])
    }`
  const file = `${t.testdir({ 'cluster.mjs': script })}/cluster.mjs`
  const output = execFileSync(process.execPath, [file], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', CERT: chainOf(good, intermediate), KEY: good.keyPem } })
  t.same(JSON.parse(output), [['TICKETS_NOT_SHARED'], [], [], []])
})
