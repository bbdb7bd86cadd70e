import { execFileSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { inspect } from 'node:util'
import { createServerContext, type ServerContextOptions } from '@fastkeep/tls-context'
import { test } from 'tap'
import { needs } from '../programs.ts'
import { failureOf, lab, withYears } from './lab.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`

test('certificate and key are taken from paths, from PEM texts and from Buffers alike', async t => {
  const { cert, key, certPem, keyPem } = await lab(t)
  const served = (options: ServerContextOptions) => {
    const { options: { cert, key }, certificate } = createServerContext(options)
    return { cert, key, certificate }
  }
  const fromPaths = served({ cert, key })
  t.same(served({ cert: relative('', cert), key: relative('', key) }), fromPaths)
  t.same(served({ cert: certPem, key: keyPem }), fromPaths)
  t.same(served({ cert: Buffer.from(certPem), key: new TextEncoder().encode(keyPem) }), fromPaths)
  t.same(served({ cert: certPem + keyPem }), fromPaths, 'and from one for both')
})

test('the context describes its certificate', async t => {
  const { cert, key } = await lab(t, ['example.test', '192.0.2.7', '2001:db8::7'])
  const { certificate } = createServerContext({ cert, key })
  t.equal(certificate?.subject, 'CN=Fastkeep development certificate')
  t.same(certificate?.names, ['example.test', '192.0.2.7', '2001:db8::7'])
  t.match(certificate?.fingerprint256, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  t.ok(certificate !== null && certificate.validFrom < new Date() && certificate.validTo > new Date())
})

test('a file that is not there is named', async t => {
  const { cert, key } = await lab(t)
  const missing = `${dirname(cert)}/missing.pem`
  t.throws(() => createServerContext({ cert: missing, key }), { code: code('FILE_NOT_FOUND'), exitCode: 78, message: new RegExp(`"cert".* ${missing} `) })
  t.throws(() => createServerContext({ cert, key: missing }), { code: code('FILE_NOT_FOUND'), exitCode: 78, message: new RegExp(`"key".* ${missing} `) })
})

test('a long path that leads nowhere is called a path, and may be a key, so it is not shown', async t => {
  const { key } = await lab(t)
  const path = '/srv/applications/production/certificates/letsencrypt/live/examplecom/fullchain'
  t.throws(() => createServerContext({ cert: path, key }), { code: code('FILE_NOT_FOUND'), exitCode: 78, message: /"cert": no such file: the given text \(not shown/ })
})

test('a directory, a device and an empty file are called what they are', async t => {
  const { cert, key } = await lab(t)
  const [directory, empty, large] = [dirname(cert), `${dirname(cert)}/empty.pem`, `${dirname(cert)}/large.pem`]
  writeFileSync(empty, '')
  writeFileSync(large, 'x'.repeat(1_048_577))
  t.throws(() => createServerContext({ cert, key: directory }), { code: code('FILE_NOT_READABLE'), exitCode: 78, message: new RegExp(`"key": ${directory} is a directory`) })
  t.throws(() => createServerContext({ cert: '/dev/null', key }), { code: code('FILE_NOT_READABLE'), message: /\/dev\/null is not a regular file/ })
  t.throws(() => createServerContext({ cert: large, key }), { code: code('FILE_NOT_READABLE'), message: /is larger than 1 MiB/ })
  t.throws(() => createServerContext({ cert: empty, key }), { code: code('NOT_PEM'), message: new RegExp(`${empty} .* is empty`) })
  t.throws(() => createServerContext({ cert, key: empty }), { code: code('NOT_PEM'), message: /is empty/ })
})

test('a link to a file is followed', async t => {
  const { cert, key } = await lab(t)
  symlinkSync(cert, `${cert}.link`)
  symlinkSync(key, `${key}.link`)
  t.same(createServerContext({ cert: `${cert}.link`, key: `${key}.link` }).certificate, createServerContext({ cert, key }).certificate)
})

test('a FIFO and an endless device are refused and not waited for', { skip: needs('mkfifo') }, async t => {
  const { cert, key } = await lab(t)
  const fifo = `${dirname(cert)}/fifo`
  execFileSync('mkfifo', [fifo])
  for (const endless of [fifo, '/dev/zero']) {
    const environment = { CERT: cert, KEY: key, ENDLESS: endless }
    t.equal(failureOf('tls.createServerContext({ cert: process.env.ENDLESS, key: process.env.KEY })', environment), code('FILE_NOT_READABLE'))
    t.equal(failureOf('tls.createServerContext({ cert: process.env.CERT, key: process.env.ENDLESS })', environment), code('FILE_NOT_READABLE'))
  }
})

test('what is not PEM is refused and says what was found instead', async t => {
  const { cert, key } = await lab(t)
  t.throws(() => createServerContext({ cert: Buffer.from('certificate'), key }), { code: code('NOT_PEM'), exitCode: 78, message: /holds no PEM at all/ })
  t.throws(() => createServerContext({ cert: key, key: cert }), { code: code('NOT_PEM'), message: /holds only PRIVATE KEY.*swapped/ })
  t.throws(() => createServerContext({ cert, key: cert }), { code: code('NOT_PEM'), message: /holds only CERTIFICATE/ })
})

test('a damaged certificate is counted', async t => {
  const { certPem, key } = await lab(t)
  const damaged = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
  t.throws(() => createServerContext({ cert: certPem + damaged, key }), { code: code('CERTIFICATE_INVALID'), exitCode: 78, message: /certificate 2 of 2/ })
})

test('an encrypted key opens with its passphrase, in the new format and in the old one', async t => {
  const { cert, keyPem } = await lab(t)
  for (const type of ['pkcs8', 'sec1'] as const) {
    const key = createPrivateKey(keyPem).export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' })
    t.doesNotThrow(() => createServerContext({ cert, key, passphrase: 'open sesame' }))
    t.throws(() => createServerContext({ cert, key }), { code: code('PASSPHRASE_MISSING'), exitCode: 78, message: /option "passphrase"/ })
    t.throws(() => createServerContext({ cert, key, passphrase: 'open barley' }), { code: code('PASSPHRASE_WRONG'), exitCode: 78 })
  }
})

test('a wrong passphrase is called wrong even when it decrypts to something', async t => {
  const { cert, keyPem } = await lab(t)
  const privateKey = createPrivateKey(keyPem)
  // About one in 200 does; the salt is new each time.
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const key = privateKey.export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' })
    try {
      createServerContext({ cert, key, passphrase: 'open barley' })
      t.fail('it was accepted')
    } catch (error) {
      if ((error as { code: string }).code !== code('PASSPHRASE_WRONG')) throw error
    }
  }
})

test('a key encrypted with what OpenSSL no longer has is not blamed on the passphrase', async t => {
  const { cert } = await lab(t)
  const key = `-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,54DB0527F0B13655\n\n${Buffer.alloc(48).toString('base64')}\n-----END EC PRIVATE KEY-----\n`
  t.throws(() => createServerContext({ cert, key, passphrase: 'open sesame' }), { code: code('KEY_INVALID'), message: /not supported/ })
})

test('a key that OpenSSL cannot read is refused', async t => {
  const { cert } = await lab(t)
  const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n'
  t.throws(() => createServerContext({ cert, key }), { code: code('KEY_INVALID'), exitCode: 78, message: /OPENSSH PRIVATE KEY.*openssl pkcs8/ })
})

test('a key of another certificate is refused, of the same type and of another', async t => {
  const { cert } = await lab(t)
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pkcs8) as string
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pkcs8) as string
  t.throws(() => createServerContext({ cert, key: ec }), { code: code('KEY_MISMATCH'), exitCode: 78 })
  t.throws(() => createServerContext({ cert, key: rsa }), { code: code('KEY_MISMATCH'), message: /the key \(rsa\).*the certificate \(ec/ })
})

test('a chain whose leaf is not first is refused with the leaf\'s position', async t => {
  const { caPem, certPem, key } = await lab(t)
  t.throws(() => createServerContext({ cert: caPem + certPem, key }), { code: code('LEAF_NOT_FIRST'), exitCode: 78, message: /certificate 2 of 2/ })
  t.doesNotThrow(() => createServerContext({ cert: certPem + caPem, key }))
})

test('an expired certificate is refused with its date', async t => {
  const { certPem, key } = await lab(t)
  t.throws(() => createServerContext({ cert: withYears(certPem, '20', '21'), key }), { code: code('CERTIFICATE_EXPIRED'), exitCode: 78, message: / 2021-.*renew/ })
})

test('a certificate that is not yet valid is refused with its date', async t => {
  const { certPem, key } = await lab(t)
  t.throws(() => createServerContext({ cert: withYears(certPem, '48', '49'), key }), { code: code('CERTIFICATE_NOT_YET_VALID'), exitCode: 78, message: / 2048-.*clock/ })
})

test('an expired certificate behind the leaf is no reason to refuse', async t => {
  const { caPem, certPem, key } = await lab(t)
  t.doesNotThrow(() => createServerContext({ cert: certPem + withYears(caPem, '20', '21'), key }))
})

test('a key that is too small is refused before a server is made', { skip: needs('openssl') }, async t => {
  const directory = t.testdir({})
  const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=weak', '-out', cert, '-keyout', key], { stdio: 'ignore' })
  t.throws(() => createServerContext({ cert, key }), { code: code('WEAK_KEY'), exitCode: 78, message: /CN=weak has 512 bits/ })
})

test('names that hold commas and quotes are told apart, and other types are left out', { skip: needs('openssl') }, async t => {
  const directory = t.testdir({})
  const [cert, key, config] = [`${directory}/cert.pem`, `${directory}/key.pem`, `${directory}/openssl.cnf`]
  writeFileSync(config, '[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nsubjectAltName=@names\n[names]\n' +
    'DNS.1=one.test, DNS:two.test\nURI.1=https://three.test/\nemail.1=four@five.test\nDNS.2=six.test\nIP.1=::ffff:192.0.2.1\n')
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=names', '-config', config, '-out', cert, '-keyout', key], { stdio: 'ignore' })
  t.same(createServerContext({ cert, key }).certificate?.names, ['one.test, DNS:two.test', 'six.test', '::ffff:192.0.2.1'])
})

test('no error shows a key or a passphrase', async t => {
  const { cert, keyPem } = await lab(t)
  const bare = keyPem.replaceAll(/-----.*-----|\n/g, '')
  const encrypted = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' }) as string
  const wrong: ServerContextOptions[] = [
    { cert, key: bare },
    { cert, key: keyPem.replaceAll(/-----.*-----/g, '') },
    { cert: bare, key: keyPem },
    { cert, key: keyPem.slice(0, -10) },
    { cert, key: keyPem.replace('MIG', 'MIH') },
    { cert, key: encrypted, passphrase: 'open barley' },
  ]
  for (const options of wrong) {
    try {
      createServerContext(options)
      t.fail('it was accepted')
    } catch (error) {
      const shown = inspect(error, { depth: 9, showHidden: true })
      t.notMatch(shown, bare.slice(20, 40))
      t.notMatch(shown, /barley/)
      t.match(error, { exitCode: 78 })
    }
  }
})

test('wrong options are refused by name', async t => {
  const { cert, key } = await lab(t)
  const create = (options: object) => () => createServerContext(options as ServerContextOptions)
  t.throws(create({ cert, key, profil: 'intermediate' }), { code: code('OPTION_UNKNOWN'), message: /did you mean "profile"/ })
  t.throws(create({ cert, key, profile: 'intermediat' }), { code: code('OPTION_INVALID'), message: /did you mean "intermediate"/ })
  t.throws(create({ cert }), { code: code('NOT_PEM'), message: /"key": .*cert.pem must hold/, exitCode: 78 })
  t.throws(create({ key }), { code: code('CERTIFICATE_MISSING'), message: /"cert" must be a file path/, exitCode: 78 })
  t.throws(create({ cert, key: 7 }), { code: code('OPTION_INVALID'), message: /not shown/ })
  t.throws(create({ cert, key, passphrase: readFileSync(key) }), { code: code('OPTION_INVALID'), message: /not shown/ })
})
