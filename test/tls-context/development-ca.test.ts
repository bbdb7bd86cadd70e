import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { isAbsolute, relative } from 'node:path'
import tls from 'node:tls'
import { createDevelopmentCertificate, createServerContext, type DevelopmentCertificateOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { needs } from '../programs.ts'
import { exitStatus, handshake, listen } from './lab.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const certificateIn = (path: string) => new X509Certificate(readFileSync(path))
const day = 86_400_000

const directoryOf = (t: Test) => `${t.testdir({})}/a/certificates`

test('the files are there under absolute paths, private to their owner', async t => {
  const directory = directoryOf(t)
  const { ca, cert, key, created } = await createDevelopmentCertificate({ directory: relative('', directory) })
  t.same({ ca, cert, key, created }, { ca: `${directory}/ca.pem`, cert: `${directory}/cert.pem`, key: `${directory}/key.pem`, created: true })
  t.ok(isAbsolute(key))
  t.same(readdirSync(directory).sort(), ['ca.pem', 'cert.pem', 'key.pem'], 'and nothing else, so no key of the authority')
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(key).mode & 0o777, 0o600)
  t.match(readFileSync(key, 'utf8'), /^-----BEGIN PRIVATE KEY-----/)
  t.notOk(certificateIn(ca).publicKey.equals(certificateIn(cert).publicKey))
})

test('a client that trusts the authority reaches the server under every name, and under no other', async t => {
  const { ca, cert, key } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const server = tls.createServer(createServerContext({ cert, key }).options)
  const port = await listen(t, server)
  for (const servername of ['localhost', '']) {
    const socket = await handshake(t, port, { ca: readFileSync(ca), servername })
    t.ok(socket.authorized, servername === '' ? '127.0.0.1' : servername)
  }
  await t.rejects(handshake(t, port, { ca: readFileSync(ca), servername: 'example.test' }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  await t.rejects(handshake(t, port, {}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
})

test('a client reaches the server over IPv6', { skip: hasIpv6Loopback() ? false : 'this machine has no ::1' }, async t => {
  const { ca, cert, key } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const server = tls.createServer(createServerContext({ cert, key }).options)
  await new Promise<void>(resolve => server.listen(0, '::1', resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  const { port } = server.address() as { port: number }
  const socket = await handshake(t, port, { host: '::1', servername: '', ca: readFileSync(ca) })
  t.ok(socket.authorized)
})

test('openssl finds both certificates strictly after RFC 5280', { skip: needs('openssl') }, async t => {
  const { ca, cert } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const output = execFileSync('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, cert], { encoding: 'utf8' })
  t.match(output, /OK/)
})

test('the authority signs leaves alone, for these names alone', { skip: needs('openssl') }, async t => {
  const { ca } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const text = textOf(ca)
  t.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/)
  t.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
  t.match(text, /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+IP:127\.0\.0\.1\/255\.255\.255\.255\s+IP:0:0:0:0:0:0:0:1\/(FFFF:){7}FFFF\n/)
  t.match(text, /Subject Key Identifier/)
  t.match(text, /ecdsa-with-SHA256/)
  t.match(text, /NIST CURVE: P-256/)
})

test('the leaf is good for a server and nothing else', { skip: needs('openssl') }, async t => {
  const { cert } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const text = textOf(cert)
  t.match(text, /Basic Constraints: critical\s+CA:FALSE\n/)
  t.match(text, /Key Usage: critical\s+Digital Signature\n/)
  t.match(text, /Extended Key Usage:\s+TLS Web Server Authentication\n/)
  t.match(text, /Subject Alternative Name:\s+DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1\n/)
  t.match(text, /Authority Key Identifier/)
  t.match(text, /Subject Key Identifier/)
})

test('where no address is asked for, none is permitted, and no host name where none is', { skip: needs('openssl') }, async t => {
  const directory = directoryOf(t)
  const onlyDns = await createDevelopmentCertificate({ directory: `${directory}/dns`, names: ['Example.test'] })
  t.match(textOf(onlyDns.ca), /Permitted:\s+DNS:example\.test\s+Excluded:\s+IP:0\.0\.0\.0\/0\.0\.0\.0\s+IP:0:0:0:0:0:0:0:0\/0:0:0:0:0:0:0:0\n/)
  const onlyIp = await createDevelopmentCertificate({ directory: `${directory}/ip`, names: ['192.0.2.1'] })
  t.match(textOf(onlyIp.ca), /Permitted:\s+IP:192\.0\.2\.1\/255\.255\.255\.255\s+Excluded:\s+DNS:\s*\n/)
  for (const { ca, cert } of [onlyDns, onlyIp]) {
    t.match(execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', ca, cert], { encoding: 'utf8' }), /OK/)
  }
})

// The authority's key is gone, so another one signs here, under the very bytes of the name constraints.
for (const [names, allowed, forbidden] of [
  [['localhost', '127.0.0.1', '::1'], ['DNS:localhost', 'DNS:a.localhost', 'IP:127.0.0.1', 'IP:::1'], ['DNS:example.test', 'DNS:notlocalhost', 'IP:127.0.0.2', 'IP:::2']],
  [['example.test'], ['DNS:example.test'], ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1']],
  [['127.0.0.1'], ['IP:127.0.0.1'], ['DNS:localhost', 'IP:127.0.0.2', 'IP:::1']],
] as const) {
  test(`an authority constrained to ${names.join(', ')} vouches for no other name`, { skip: needs('openssl') }, async t => {
    const { ca } = await createDevelopmentCertificate({ directory: directoryOf(t), names })
    const lab = constrainedLab(ca)
    for (const name of allowed) t.equal(lab.verify(name), 'OK', name)
    for (const name of forbidden) t.match(lab.verify(name), /(permitted|excluded) subtree violation/, name)
  })
}

test('Node refuses a server whose certificate breaks the constraints', { skip: needs('openssl') }, async t => {
  const { ca } = await createDevelopmentCertificate({ directory: directoryOf(t) })
  const lab = constrainedLab(ca)
  lab.verify('DNS:example.test')
  const port = await listen(t, tls.createServer(createServerContext({ cert: `${lab.directory}/leaf.pem`, key: `${lab.directory}/leaf.key` }).options))
  await t.rejects(handshake(t, port, { servername: 'example.test', ca: readFileSync(`${lab.directory}/ca.pem`) }), { code: /PERMITTED_SUBTREE_VIOLATION|PERMITTED_VIOLATION|UNSPECIFIED/, message: /permitted subtree violation/ })
})

test('validity begins a little earlier, for clocks that are behind, and ends after the days asked for', async t => {
  const before = Date.now()
  const { ca, cert, validTo } = await createDevelopmentCertificate({ directory: directoryOf(t), days: 30 })
  const from = Date.parse(certificateIn(cert).validFrom)
  t.ok(before - from > 60_000 && before - from < 3_600_000)
  t.ok(Math.abs(validTo.getTime() - before - 30 * day) < 60_000)
  t.equal(certificateIn(cert).validTo, certificateIn(ca).validTo)
  t.equal(Date.parse(certificateIn(cert).validTo), validTo.getTime())
})

test('dates from 2050 on are written as GeneralizedTime, earlier ones as UTCTime', async t => {
  const directory = directoryOf(t)
  // In a process whose clock is at the turn: no option asks for another date.
  const script = 'Date.now = () => Date.UTC(2049, 11, 15); const { createDevelopmentCertificate } = await import("@fastkeep/tls-context"); await createDevelopmentCertificate({ directory: process.env.DIRECTORY, days: 30 })'
  t.equal(exitStatus(script, { DIRECTORY: directory }), 0)
  const { raw, validFrom, validTo } = certificateIn(`${directory}/cert.pem`)
  t.ok(raw.includes('\x17\x0d491214235500Z\x18\x0f20500114000000Z'))
  t.equal(validFrom, 'Dec 14 23:55:00 2049 GMT')
  t.equal(validTo, 'Jan 14 00:00:00 2050 GMT')
})

test('serial numbers and authorities differ from set to set', async t => {
  const directory = directoryOf(t)
  const certificates = []
  for (const name of ['a', 'b', 'c', 'd']) {
    const { ca, cert } = await createDevelopmentCertificate({ directory: `${directory}/${name}` })
    certificates.push(certificateIn(ca), certificateIn(cert))
  }
  t.equal(new Set(certificates.map(({ serialNumber }) => serialNumber)).size, 8)
  for (const { serialNumber } of certificates) t.match(serialNumber, /^[0-9A-F]{24,32}$/, 'positive, 128 bits at most')
  t.equal(new Set(certificates.map(({ issuer }) => issuer)).size, 4)
})

test('a directory that cannot be made is named', async t => {
  const directory = `${t.testdir({ file: '' })}/file/certificates`
  await t.rejects(createDevelopmentCertificate({ directory }), { code: code('DIRECTORY_NOT_USABLE'), exitCode: 78, message: new RegExp(`${directory} \\(ENOTDIR\\)`) })
})

test('wrong options are refused by name', async t => {
  const directory = directoryOf(t)
  const create = (options: object) => createDevelopmentCertificate(options as DevelopmentCertificateOptions)
  await t.rejects(create({}), { code: code('OPTION_INVALID'), message: /"directory"/ })
  await t.rejects(create({ directory, day: 1 }), { code: code('OPTION_UNKNOWN'), message: /did you mean "days"/ })
  for (const days of [0, 826, 1.5, '30']) await t.rejects(create({ directory, days }), { code: code('OPTION_INVALID'), message: /from 1 to 825/ })
  await t.rejects(create({ directory, names: ['localhost', '*.example.test'] }), { message: /got "\*\.example\.test" at index 1/ })
  for (const name of ['', '*.example.test', 'example.test.', '-a.test', 'a..test', '127.0.0.256', 'exämple.test', 'fe80::1%eth0', 'a b', 'https://a.test', 'a'.repeat(64), 7]) {
    await t.rejects(create({ directory, names: [name] }), { code: code('OPTION_INVALID'), message: /"names"/ }, String(name))
  }
  await t.rejects(create({ directory, names: [] }), { code: code('OPTION_INVALID') })
  t.notOk(existsSync(directory))
})

test('addresses are written in every form', async t => {
  const names = ['::', '2001:db8::1', '1:2:3:4:5:6:7:8', '::ffff:192.0.2.1', 'fe80::', '192.0.2.1']
  const { cert } = await createDevelopmentCertificate({ directory: directoryOf(t), names })
  for (const name of names) t.equal(certificateIn(cert).checkIP(name), name)
})

function textOf (path: string): string {
  return execFileSync('openssl', ['x509', '-in', path, '-noout', '-text'], { encoding: 'utf8' })
}

function hasIpv6Loopback (): boolean {
  return Object.values(networkInterfaces()).flat().some(address => address?.address === '::1')
}

/** An authority of openssl's with the same name constraints, and what openssl says of a leaf under it. */
function constrainedLab (caPath: string): { directory: string, verify: (name: string) => string } {
  const directory = caPath.replace('/ca.pem', '-lab')
  mkdirSync(directory)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  writeFileSync(`${directory}/openssl.cnf`, `[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nnameConstraints=critical,DER:${nameConstraintsOf(certificateIn(caPath).raw)}\n`)
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=Lab', '-config', 'openssl.cnf', '-extensions', 'ca', '-out', 'ca.pem', '-keyout', 'ca.key')
  return {
    directory,
    verify (name) {
      writeFileSync(`${directory}/leaf.cnf`, `subjectAltName=${name}\nauthorityKeyIdentifier=keyid\n`)
      openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=A leaf', '-config', 'openssl.cnf', '-out', 'leaf.csr', '-keyout', 'leaf.key')
      openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'leaf.cnf', '-out', 'leaf.pem')
      try {
        return openssl('verify', '-CAfile', 'ca.pem', 'leaf.pem').includes('OK') ? 'OK' : 'unknown'
      } catch (error) {
        return (error as { stderr: string }).stderr
      }
    },
  }
}

/** The contents of the extension 2.5.29.30 in hexadecimal. */
function nameConstraintsOf (der: Buffer): string {
  const afterIdentifier = der.indexOf(Buffer.from('0603551d1e0101ff04', 'hex')) + 9
  const length = der[afterIdentifier] ?? 0
  return der.subarray(afterIdentifier + 1, afterIdentifier + 1 + length).toString('hex')
}
