import { execFileSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createCertificateRequest, createServerContext, developmentCertificate, encryptKey, validate } from '@fastkeep/tls-context'
import { test } from 'tap'
import { needs } from '../programs.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`

for (const [key, expected] of [['P-256', /NIST CURVE: P-256/], ['P-384', /NIST CURVE: P-384/], ['RSA-2048', /2048 bit/]] as const) {
  test(`openssl takes a request with ${key}, and finds the names in it`, { skip: needs('openssl') }, async t => {
    const { request, key: path } = await createCertificateRequest({ directory: `${t.testdir({})}/new`, names: ['example.test', '*.example.test', '192.0.2.1'], key, organization: 'Example' })
    const text = execFileSync('openssl', ['req', '-in', request, '-noout', '-text', '-verify'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    t.match(text, /Subject: O = Example, CN = example\.test/)
    t.match(text, /DNS:example\.test, DNS:\*\.example\.test, IP Address:192\.0\.2\.1/)
    t.match(text, expected)
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.equal(execFileSync('openssl', ['pkey', '-in', path, '-pubout'], { encoding: 'utf8' }), execFileSync('openssl', ['req', '-in', request, '-noout', '-pubkey'], { encoding: 'utf8' }))
  })
}

test('a request never replaces a key', async t => {
  const options = { directory: `${t.testdir({})}/new`, names: ['example.test'] }
  const { key } = await createCertificateRequest(options)
  const before = readFileSync(key, 'utf8')
  await t.rejects(createCertificateRequest(options), { code: code('DIRECTORY_TAKEN'), message: /never replaced/ })
  t.equal(readFileSync(key, 'utf8'), before)
  await t.rejects(createCertificateRequest({ ...options, names: ['a b'] }), { code: code('OPTION_INVALID') })
  await t.rejects(createCertificateRequest({ directory: options.directory } as never), { code: code('OPTION_INVALID'), message: /"names"/ })
})

for (const derivation of ['scrypt', 'PBKDF2'] as const) {
  test(`a key encrypted with AES-256 and ${derivation} opens in Node and in openssl, with its passphrase alone`, { skip: needs('openssl') }, async t => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = encryptKey(privateKey, 'open sesame', derivation)
    t.ok(createPrivateKey({ key: pem, passphrase: 'open sesame' }).equals(privateKey))
    t.throws(() => createPrivateKey({ key: pem, passphrase: 'open barley' }))
    const plain = execFileSync('openssl', ['pkey', '-passin', 'pass:open sesame'], { input: pem, encoding: 'utf8' })
    t.ok(createPrivateKey(plain).equals(privateKey))
    const structure = execFileSync('openssl', ['asn1parse'], { input: pem, encoding: 'utf8' })
    t.match(structure, /aes-256-cbc/)
    t.match(structure, derivation === 'scrypt' ? /scrypt/ : /PBKDF2[^]*:0927C0[^]*hmacWithSHA256/)
  })
}

test('a development certificate has an encrypted key on request, kept while its passphrase opens it', async t => {
  const options = { directory: `${t.testdir({})}/new`, passphrase: 'open sesame' }
  const { cert, key, created } = await developmentCertificate(options)
  t.ok(created)
  t.match(readFileSync(key, 'utf8'), /BEGIN ENCRYPTED PRIVATE KEY/)
  t.notOk((await developmentCertificate(options)).created)
  t.doesNotThrow(() => createServerContext({ cert, key, passphrase: 'open sesame' }))
  t.same(validate({ cert, key, passphrase: 'open sesame' }).filter(({ code }) => code.startsWith('KEY')), [])
  await t.rejects(developmentCertificate({ ...options, passphrase: 'open barley' }), { code: code('DIRECTORY_TAKEN') })
})
