import https from 'node:https'
import { type TlsOptions } from 'node:tls'
import { createServerContext, grade, type Grade, type ProfileName, type Ruleset } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { freePort } from '../../bench/free-port.ts'
import { Child } from '../child.ts'
import { needs } from '../programs.ts'
import { answering, listen } from './lab.ts'
import { mockServer, type Mock } from './mock-server.ts'
import { authority, files, leaf, type Issued, type KeyKind, type Wish } from './pki.ts'

const root = await authority('CN=Lab root')
const intermediate = await authority('CN=Lab intermediate', { issuer: root })
const unknownRoot = await authority('CN=Unknown root')

const longHsts = 'max-age=63072000; includeSubDomains'

interface Setting {
  /** Of a server of Node's. */
  readonly options?: TlsOptions
  readonly profile?: ProfileName
  readonly certificate?: Wish & { readonly also?: KeyKind, readonly issuer?: Issued | 'itself', readonly sends?: readonly Issued[] }
  /** `null`: none is sent. Default: two years. */
  readonly hsts?: string | null
  readonly gnutls?: string
  readonly mock?: Omit<Mock, 'certPem'>
}

/** Grade, scores for protocol, key exchange and cipher, and the codes of all that keeps the grade down. */
type Expected = readonly [grade: Grade, scores: readonly [number, number, number], ...codes: string[]]

/**
 * Worked out by hand from the SSL Server Rating Guide 2009r, and from what testssl.sh's documentation says to differ:
 * for testssl, key exchange is the certificate's alone and P-256 is worth 100; HSTS may be missing; nobody untrusted
 * has scores. SSL Labs takes a 256-bit curve for RSA-3072, which is 90.
 */
const expectations: ReadonlyArray<readonly [what: string, setting: Setting, expected: Readonly<Record<Ruleset, Expected>>]> = [
  ['intermediate with P-256', { profile: 'intermediate' }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 100, 90]] }],
  ['intermediate with P-256 and no HSTS', { profile: 'intermediate', hsts: null }, { 'ssllabs-2009r': ['A', [100, 90, 90], 'HSTS_MISSING'], testssl: ['A+', [100, 100, 90]] }],
  ['intermediate with RSA-2048', { profile: 'intermediate', certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 90, 90]] }],
  ['intermediate with RSA-4096', { profile: 'intermediate', certificate: { key: 'RSA-4096' } }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 100, 90]] }],
  ['intermediate with P-256 and RSA-2048', { profile: 'intermediate', certificate: { also: 'RSA-2048' } }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 90, 90]] }],
  ['modern with P-256', { profile: 'modern' }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 100, 90]] }],
  ['modern256 with P-384', { profile: 'modern256', certificate: { key: 'P-384' } }, { 'ssllabs-2009r': ['A+', [100, 90, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['strict256 with P-384', { profile: 'strict256', certificate: { key: 'P-384' } }, { 'ssllabs-2009r': ['A+', [100, 90, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['strict256 with RSA-4096', { profile: 'strict256', certificate: { key: 'RSA-4096' } }, { 'ssllabs-2009r': ['A+', [100, 90, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['strict256 with RSA-3072', { profile: 'strict256', certificate: { key: 'RSA-3072' } }, { 'ssllabs-2009r': ['A+', [100, 90, 100]], testssl: ['A+', [100, 90, 100]] }],
  ['ssllabs100 with P-384', { profile: 'ssllabs100', certificate: { key: 'P-384' } }, { 'ssllabs-2009r': ['A+', [100, 100, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['ssllabs100 with RSA-4096', { profile: 'ssllabs100', certificate: { key: 'RSA-4096' } }, { 'ssllabs-2009r': ['A+', [100, 100, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['ssllabs100 with P-256, whose certificate is the weakest part', { profile: 'ssllabs100' }, { 'ssllabs-2009r': ['A+', [100, 90, 100]], testssl: ['A+', [100, 100, 100]] }],
  ['the recipe of TLS 1.2 alone', { options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA384' }, certificate: { key: 'RSA-4096' } }, { 'ssllabs-2009r': ['A-', [100, 90, 100], 'NO_TLS13'], testssl: ['A-', [100, 100, 100], 'NO_TLS13'] }],
  ['Node\'s own defaults', { options: {}, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['A+', [100, 90, 90]], testssl: ['A+', [100, 90, 90]] }],
  ['TLS 1.0 to 1.3', { options: { minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['B', [95, 90, 90], 'TLS10', 'TLS11'], testssl: ['B', [95, 90, 90], 'TLS10', 'TLS11'] }],
  ['TLS 1.1 to 1.3', { options: { minVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['B', [97.5, 90, 90], 'TLS11'], testssl: ['B', [97.5, 90, 90], 'TLS11'] }],
  ['TLS 1.0 alone', { options: { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ECDHE-RSA-AES256-SHA:@SECLEVEL=0' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['C', [90, 90, 100], 'NO_TLS12', 'TLS10', 'NO_AEAD', 'NO_TLS13'], testssl: ['C', [90, 90, 100], 'NO_TLS12', 'TLS10', 'NO_AEAD', 'NO_TLS13'] }],
  ['CBC alone', { options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-SHA384' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['B', [100, 90, 100], 'NO_AEAD', 'NO_TLS13'], testssl: ['B', [100, 90, 100], 'NO_AEAD', 'NO_TLS13'] }],
  ['no forward secrecy', { options: { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['B', [100, 90, 80], 'NO_FORWARD_SECRECY', 'NO_TLS13'], testssl: ['B', [100, 90, 80], 'NO_FORWARD_SECRECY', 'NO_TLS13'] }],
  ['suites without authentication', { options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:AECDH-AES256-SHA:@SECLEVEL=0' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['F', [100, 0, 100], 'ANONYMOUS', 'NO_TLS13'], testssl: ['F', [100, 90, 100], 'ANONYMOUS', 'NO_TLS13'] }],
  ['suites without encryption', { options: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-NULL-SHA:@SECLEVEL=0' }, certificate: { key: 'RSA-2048' } }, { 'ssllabs-2009r': ['F', [100, 90, 50], 'WEAK_CIPHER', 'NO_TLS13'], testssl: ['F', [100, 90, 50], 'WEAK_CIPHER', 'NO_TLS13'] }],
  ['a key of 1024 bits', { options: { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384:@SECLEVEL=0' }, certificate: { key: 'RSA-1024' } }, { 'ssllabs-2009r': ['B', [100, 80, 100], 'SMALL_KEY'], testssl: ['B', [100, 80, 100], 'SMALL_KEY'] }],
  ['a missing intermediate certificate that can be looked for', { profile: 'intermediate', certificate: { issuerUrl: 'http://ca.test/', sends: [] } }, { 'ssllabs-2009r': ['B', [100, 90, 90], 'CHAIN_INCOMPLETE'], testssl: ['B', [100, 100, 90], 'CHAIN_INCOMPLETE'] }],
  ['a missing intermediate certificate that is nowhere', { profile: 'intermediate', certificate: { sends: [] } }, { 'ssllabs-2009r': ['T', [100, 90, 90], 'CERTIFICATE_UNTRUSTED'], testssl: ['B', [100, 100, 90], 'CHAIN_INCOMPLETE'] }],
  ['a self-signed certificate', { profile: 'strict256', certificate: { issuer: 'itself' } }, { 'ssllabs-2009r': ['T', [100, 90, 100], 'CERTIFICATE_SELF_SIGNED'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_SELF_SIGNED'] }],
  ['an unknown root', { profile: 'strict256', certificate: { issuer: unknownRoot, sends: [unknownRoot] } }, { 'ssllabs-2009r': ['T', [100, 90, 100], 'CERTIFICATE_UNTRUSTED'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_UNTRUSTED'] }],
  ['an expired certificate', { options: {}, certificate: { from: -90, to: -1 } }, { 'ssllabs-2009r': ['T', [100, 90, 90], 'CERTIFICATE_EXPIRED'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_EXPIRED'] }],
  ['a certificate of the future', { options: {}, certificate: { from: 1, to: 90 } }, { 'ssllabs-2009r': ['T', [100, 90, 90], 'CERTIFICATE_NOT_YET_VALID'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_NOT_YET_VALID'] }],
  ['a certificate signed with SHA-1', { options: { ciphers: 'DEFAULT:@SECLEVEL=0' }, certificate: { hash: 'SHA-1' } }, { 'ssllabs-2009r': ['T', [100, 90, 90], 'CERTIFICATE_WEAK_SIGNATURE'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_WEAK_SIGNATURE'] }],
  ['a certificate for clients', { options: {}, certificate: { use: 'client' } }, { 'ssllabs-2009r': ['T', [100, 90, 90], 'CERTIFICATE_NOT_FOR_SERVERS'], testssl: ['T', [0, 0, 0], 'CERTIFICATE_NOT_FOR_SERVERS'] }],
  ['another host', { profile: 'strict256', certificate: { names: ['other.test'] } }, { 'ssllabs-2009r': ['M', [100, 90, 100], 'NAME_MISMATCH'], testssl: ['M', [0, 0, 0], 'NAME_MISMATCH'] }],
  ['HSTS turned off', { profile: 'intermediate', hsts: 'max-age=0' }, { 'ssllabs-2009r': ['A-', [100, 90, 90], 'HSTS_INVALID'], testssl: ['A-', [100, 100, 90], 'HSTS_INVALID'] }],
  ['HSTS without an age', { profile: 'intermediate', hsts: 'includeSubDomains' }, { 'ssllabs-2009r': ['A-', [100, 90, 90], 'HSTS_INVALID'], testssl: ['A-', [100, 100, 90], 'HSTS_INVALID'] }],
  ['HSTS for a day', { profile: 'intermediate', hsts: 'max-age=86400' }, { 'ssllabs-2009r': ['A', [100, 90, 90], 'HSTS_SHORT'], testssl: ['A-', [100, 100, 90], 'HSTS_SHORT'] }],
  ['triple DES over TLS 1.2', { gnutls: 'NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+3DES-CBC:+AEAD:+SHA1:+ECDHE-RSA:+GROUP-SECP256R1:+SIGN-ALL:+COMP-NULL:+CTYPE-X509', certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['C', [100, 90, 60], 'TRIPLE_DES_MODERN', 'HSTS_MISSING'], testssl: ['C', [100, 90, 90], 'TRIPLE_DES_MODERN'] }],
  ['RC4 over TLS 1.2', { gnutls: 'NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+ARCFOUR-128:+AEAD:+SHA1:+ECDHE-RSA:+GROUP-SECP256R1:+SIGN-ALL:+COMP-NULL:+CTYPE-X509', certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['C', [100, 90, 90], 'RC4_MODERN', 'RC4', 'HSTS_MISSING'], testssl: ['C', [100, 90, 90], 'RC4_MODERN', 'RC4'] }],
  ['RC4 over TLS 1.0 alone', { gnutls: 'NONE:+VERS-TLS1.0:+ARCFOUR-128:+SHA1:+ECDHE-RSA:+GROUP-SECP256R1:+SIGN-ALL:+COMP-NULL:+CTYPE-X509', certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['C', [90, 90, 80], 'NO_TLS12', 'TLS10', 'RC4', 'NO_AEAD', 'NO_TLS13', 'HSTS_MISSING'], testssl: ['C', [90, 90, 80], 'NO_TLS12', 'TLS10', 'RC4', 'NO_AEAD', 'NO_TLS13'] }],
  ['SSL 3.0 alone', { mock: { suites: { 0x0300: [0x0035] } }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['F', [80, 90, 100], 'SSLV3_ONLY', 'NO_TLS12', 'POODLE', 'SSLV3', 'NO_FORWARD_SECRECY', 'NO_AEAD', 'NO_TLS13', 'NO_SECURE_RENEGOTIATION', 'HSTS_MISSING'], testssl: ['F', [80, 90, 100], 'SSLV3_ONLY', 'NO_TLS12', 'POODLE', 'SSLV3', 'NO_FORWARD_SECRECY', 'NO_AEAD', 'NO_TLS13', 'NO_SECURE_RENEGOTIATION'] }],
  ['SSL 2.0 beside TLS 1.2', { mock: { suites: { 0x0303: [0x009d] }, ssl2: [0x0700c0] }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['F', [50, 90, 60], 'SSLV2', 'NO_FORWARD_SECRECY', 'NO_TLS13', 'HSTS_MISSING'], testssl: ['F', [50, 90, 90], 'SSLV2', 'NO_FORWARD_SECRECY', 'NO_TLS13'] }],
  ['export suites', { mock: { suites: { 0x0303: [0x009d, 0x0008] } }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['F', [100, 40, 60], 'WEAK_CIPHER', 'NO_FORWARD_SECRECY', 'NO_TLS13', 'HSTS_MISSING'], testssl: ['F', [100, 90, 60], 'WEAK_CIPHER', 'NO_FORWARD_SECRECY', 'NO_TLS13'] }],
  ['no secure renegotiation', { mock: { suites: { 0x0303: [0x009d] }, hasRenegotiationInfo: false }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['B', [100, 90, 100], 'NO_FORWARD_SECRECY', 'NO_TLS13', 'NO_SECURE_RENEGOTIATION', 'HSTS_MISSING'], testssl: ['B', [100, 90, 100], 'NO_FORWARD_SECRECY', 'NO_TLS13', 'NO_SECURE_RENEGOTIATION'] }],
  ['compression', { mock: { suites: { 0x0303: [0x009d] }, compression: 1 }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['C', [100, 90, 100], 'CRIME', 'NO_FORWARD_SECRECY', 'NO_TLS13', 'HSTS_MISSING'], testssl: ['C', [100, 90, 100], 'CRIME', 'NO_FORWARD_SECRECY', 'NO_TLS13'] }],
  ['Diffie-Hellman with 1024 bits', { mock: { suites: { 0x0303: [0x009f] }, primeBits: 1024 }, certificate: { key: 'RSA-2048' }, hsts: null }, { 'ssllabs-2009r': ['B', [100, 80, 100], 'SMALL_PRIME', 'NO_TLS13', 'HSTS_MISSING'], testssl: ['B', [100, 90, 100], 'SMALL_PRIME', 'NO_TLS13'] }],
  ['Diffie-Hellman with 4096 bits', { mock: { suites: { 0x0303: [0x009f] }, primeBits: 4096 }, certificate: { key: 'RSA-4096' }, hsts: null }, { 'ssllabs-2009r': ['A-', [100, 100, 100], 'NO_TLS13', 'HSTS_MISSING'], testssl: ['A-', [100, 100, 100], 'NO_TLS13'] }],
]

async function start (t: Test, { options, profile, certificate = {}, hsts = longHsts, gnutls, mock }: Setting): Promise<number> {
  const { also, issuer = intermediate, sends = issuer === intermediate ? [intermediate] : [], ...wish } = certificate
  const issued = await leaf(issuer === 'itself' ? undefined : issuer, { names: ['localhost'], ...wish })
  const chain = sends.map(({ certPem }) => certPem).join('')
  if (mock !== undefined) return await mockServer(t, { ...mock, certPem: issued.certPem, chainPem: intermediate.certPem })
  if (gnutls !== undefined) return await gnutlsServer(t, gnutls, issued)
  const sources = [{ cert: issued.certPem + chain, key: issued.keyPem }]
  if (also !== undefined) {
    const second = await leaf(intermediate, { names: ['localhost'], key: also })
    sources.push({ cert: second.certPem + intermediate.certPem, key: second.keyPem })
  }
  const itsOptions = profile === undefined ? { ...options, ...sources[0] } : createServerContext({ certificates: sources, profile }).options
  return await listen(t, https.createServer(itsOptions, (_request, response) => response.writeHead(200, hsts === null ? {} : { 'Strict-Transport-Security': hsts }).end('x')))
}

async function gnutlsServer (t: Test, priority: string, issued: Issued): Promise<number> {
  t.testdir({})
  const { cert, key } = files(t, 'server', issued, intermediate)
  const port = await freePort()
  const child = new Child(t, 'gnutls-serv', ['--http', '--port', String(port), '--x509certfile', cert, '--x509keyfile', key, '--priority', priority])
  await child.match(/listening on IPv4/)
  // It says so before it is so.
  await answering(port)
  return port
}

for (const [what, setting, expected] of expectations) {
  test(`the grade of ${what}`, { skip: setting.gnutls === undefined ? false : needs('gnutls-serv') }, async t => {
    const port = await start(t, setting)
    for (const [ruleset, [expectedGrade, [protocol, keyExchange, cipher], ...codes]] of Object.entries(expected) as Array<[Ruleset, Expected]>) {
      const report = await grade('127.0.0.1', port, { ruleset, servername: 'localhost', ca: root.certPem })
      t.equal(report.grade, expectedGrade, `${ruleset}: ${report.reasons.map(({ message }) => message).join('; ')}`)
      t.match(report.scores, { protocol, keyExchange, cipher }, ruleset)
      t.same(report.reasons.map(({ code }) => code), codes, ruleset)
      for (const { message } of report.reasons) t.match(message, /\w/)
    }
  })
}
