import https from 'node:https'
import http2 from 'node:http2'
import { type Server } from 'node:net'
import tls from 'node:tls'
import { createServerContext, type ServerContextOptions } from '@fastkeep/tls-context'
import { test } from 'tap'
import { handshake, listen } from './lab.ts'
import { authority, leaf } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const ca = root.certPem
const sourceOf = async (...names: string[]) => {
  const { certPem, keyPem } = await leaf(root, { names })
  return { cert: certPem, key: keyPem }
}
const byDefault = await sourceOf('localhost')
const names = { 'one.test': await sourceOf('one.test'), '*.two.test': await sourceOf('*.two.test'), 'Three.Test.': await sourceOf('three.test') }
const options: ServerContextOptions = { ...byDefault, names }

const asked: Record<string, string> = {
  'one.test': 'CN=one.test',
  'ONE.TEST': 'CN=one.test',
  'a.two.test': 'CN=*.two.test',
  'a.b.two.test': 'CN=localhost',
  'two.test': 'CN=localhost',
  'three.test': 'CN=three.test',
  'other.test': 'CN=localhost',
  localhost: 'CN=localhost',
  '': 'CN=localhost',
}

for (const [kind, create] of Object.entries({
  tls: (options: tls.TlsOptions) => tls.createServer(options),
  https: (options: tls.TlsOptions) => https.createServer(options),
  http2: (options: tls.TlsOptions) => http2.createSecureServer(options) as unknown as Server,
})) {
  test(`${kind}: each name gets its certificate, and one without any the default one`, async t => {
    const port = await listen(t, create(createServerContext(options).options))
    for (const [servername, subject] of Object.entries(asked)) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const socket = await handshake(t, port, { ca, servername, maxVersion, rejectUnauthorized: false, ALPNProtocols: kind === 'http2' ? ['h2'] : ['http/1.1'] })
        t.equal(socket.getPeerX509Certificate()?.subject, subject, `${servername} ${maxVersion}`)
        socket.destroy()
      }
    }
  })
}

test('a name with a final dot is the same name', async t => {
  const { options: { SNICallback } } = createServerContext(options)
  const contextOf = (name: string) => {
    let found: unknown
    SNICallback?.(name, (_error, context) => { found = context })
    return found
  }
  t.ok(contextOf('one.test'))
  t.equal(contextOf('one.test.'), contextOf('one.test'))
  t.equal(contextOf('A.Two.Test.'), contextOf('b.two.test'))
  t.equal(contextOf('.two.test'), undefined)
})

test('an unknown name is rejected where that is asked for, and those of the default certificate are known', async t => {
  const port = await listen(t, tls.createServer(createServerContext({ ...options, unknownName: 'reject' }).options))
  for (const servername of ['other.test', 'a.b.two.test']) await t.rejects(handshake(t, port, { ca, servername, rejectUnauthorized: false }), { code: 'ECONNRESET' })
  for (const servername of ['one.test', 'localhost', '']) await t.resolves(handshake(t, port, { ca, servername, rejectUnauthorized: false }))
})

test('what OpenSSL would not enforce for a name is refused as its option', async t => {
  for (const option of ['ciphers', 'minVersion', 'profile', 'client']) {
    t.throws(() => createServerContext({ ...byDefault, names: { 'one.test': { ...byDefault, [option]: 'x' } } }), { code: code('NAME_OPTION_REFUSED'), message: new RegExp(`names\\["one.test"\\].${option}.*listener`) })
  }
  t.throws(() => createServerContext({ ...byDefault, names: { 'one.test': [byDefault, byDefault] as object } }), { code: code('NAME_OPTION_REFUSED'), message: /last one/ })
})

test('names that are none, or are there twice, are refused', async t => {
  for (const name of ['one test', '*.*.test', 'https://one.test', 'one.test:443', '*', 'exämple.test', '']) {
    t.throws(() => createServerContext({ ...byDefault, names: { [name]: byDefault } }), { code: code('OPTION_INVALID'), message: /names\[/ }, name)
  }
  t.throws(() => createServerContext({ ...byDefault, names: { 'one.test': names['one.test'], 'ONE.test.': names['one.test'] } }), { code: code('OPTION_INVALID'), message: /twice/ })
})

test('errors name the name', async t => {
  t.throws(() => createServerContext({ ...byDefault, names: { 'one.test': { cert: '/nowhere.pem', key: '/nowhere.key' } } }), { code: code('FILE_NOT_FOUND'), message: /option "names\["one\.test"\]\.cert"/ })
})

test('a name whose key is of another kind is served it, or refused where this Node would serve another', async t => {
  const { certPem, keyPem } = await leaf(root, { names: ['rsa.test'], key: 'RSA-2048' })
  const mixed = { ...byDefault, names: { 'rsa.test': { cert: certPem, key: keyPem } } }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const serves = major > 26 || (major === 26 && minor >= 10) || (major === 24 && minor >= 21)
  if (!serves) {
    t.throws(() => createServerContext(mixed), { code: code('SNI_KEY_TYPE'), message: /rsa\.test.*kind rsa.*kind ec.*Node v/ })
    return
  }
  const port = await listen(t, tls.createServer(createServerContext(mixed).options))
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    t.equal((await handshake(t, port, { ca, servername: 'rsa.test', maxVersion })).getPeerX509Certificate()?.publicKey.asymmetricKeyType, 'rsa')
  }
})
