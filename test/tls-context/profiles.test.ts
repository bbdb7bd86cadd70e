import tls from 'node:tls'
import { createServerContext, profiles, validate, type CustomProfile, type ProfileName, type ServerContextOptions } from '@fastkeep/tls-context'
import { test, type Test } from 'tap'
import { handshake, listen } from './lab.ts'
import { authority, leaf } from './pki.ts'

const code = (what: string) => `FST_KEEP_TLS_CONTEXT_${what}`
const root = await authority('CN=Lab root')
const ec = await leaf(root)
const rsa = await leaf(root, { key: 'RSA-2048' })
const ca = root.certPem
const ecSource = { cert: ec.certPem, key: ec.keyPem }
const rsaSource = { cert: rsa.certPem, key: rsa.keyPem }

async function serve (t: Test, options: ServerContextOptions): Promise<number> {
  return await listen(t, tls.createServer(createServerContext(options).options))
}

/** What of each is accepted, offered alone. */
const expected: Record<ProfileName, { versions: string[], suites: string[], groups: string[] }> = {
  intermediate: { versions: ['TLSv1.2', 'TLSv1.3'], suites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'], groups: ['X25519', 'prime256v1', 'secp384r1'] },
  modern: { versions: ['TLSv1.3'], suites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'], groups: ['X25519', 'prime256v1', 'secp384r1'] },
  strict256: { versions: ['TLSv1.2', 'TLSv1.3'], suites: ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'], groups: ['X25519', 'prime256v1', 'secp384r1'] },
  modern256: { versions: ['TLSv1.3'], suites: ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'], groups: ['X25519', 'prime256v1', 'secp384r1'] },
  ssllabs100: { versions: ['TLSv1.2', 'TLSv1.3'], suites: ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'], groups: ['secp384r1', 'secp521r1'] },
}

const suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-CCM', 'ECDHE-ECDSA-AES256-SHA384']
const groups = ['X25519', 'prime256v1', 'secp384r1', 'secp521r1', 'X448']

for (const [profile, { versions, suites: expectedSuites, groups: expectedGroups }] of Object.entries(expected) as Array<[ProfileName, typeof expected[ProfileName]]>) {
  test(`profile ${profile} accepts its versions, suites and groups and no other`, async t => {
    const port = await serve(t, { ...ecSource, profile })
    const accepted = async (options: tls.ConnectionOptions) => await handshake(t, port, { ca, ...options }).then(socket => socket.destroy() !== undefined, () => false)
    const filtered = async (values: readonly string[], options: (value: string) => tls.ConnectionOptions) => {
      const results = await Promise.all(values.map(async value => await accepted(options(value))))
      return values.filter((_value, index) => results[index])
    }
    t.same(await filtered(['TLSv1.1', 'TLSv1.2', 'TLSv1.3'], value => ({ minVersion: value as 'TLSv1.2', maxVersion: value as 'TLSv1.2', ciphers: 'ALL:@SECLEVEL=0' })), versions)
    t.same(await filtered(suites, value => ({ ciphers: value, ...!value.startsWith('TLS_') && { maxVersion: 'TLSv1.2' } })), expectedSuites)
    t.same(await filtered(groups, value => ({ ecdhCurve: value })), expectedGroups)
  })
}

test('every profile names its source, and the strict ones choose by themselves', async t => {
  for (const profile of Object.values(profiles)) t.match(profile.source, /^https:/)
  t.same(Object.entries(profiles).filter(([, { honorCipherOrder }]) => honorCipherOrder).map(([name]) => name), ['strict256', 'modern256', 'ssllabs100'])
})

test('two certificates of different keys are served to the clients that want them', async t => {
  const port = await serve(t, { certificates: [ecSource, rsaSource] })
  const shown = async (sigalgs: string) => (await handshake(t, port, { ca, sigalgs })).getPeerX509Certificate()?.publicKey.asymmetricKeyType
  t.equal(await shown('ecdsa_secp256r1_sha256'), 'ec')
  t.equal(await shown('rsa_pss_rsae_sha256'), 'rsa')
  t.throws(() => createServerContext({ certificates: [ecSource, ecSource] }), { code: code('DUPLICATE_KEY_TYPE') })
  t.throws(() => createServerContext({ ...ecSource, certificates: [rsaSource] }), { message: /contradict/ })
  t.throws(() => createServerContext({ certificates: [{ cert: ec.certPem, kye: 'x' } as object] }), { code: code('OPTION_UNKNOWN'), message: /"certificates\[0\]\.kye", did you mean "key"/ })
})

test('a custom profile changes what it names', async t => {
  const port = await serve(t, { ...rsaSource, profile: { base: 'strict256', maxVersion: 'TLSv1.2', groups: ['prime256v1'], signatureAlgorithms: ['rsa_pss_rsae_sha256'] } })
  const socket = await handshake(t, port, { ca })
  t.equal(socket.getProtocol(), 'TLSv1.2')
  t.equal(socket.getCipher().name, 'ECDHE-RSA-AES256-GCM-SHA384')
  await t.rejects(handshake(t, port, { ca, ecdhCurve: 'X25519' }))
})

const unknown: Record<string, [CustomProfile, string, RegExp]> = {
  'a cipher suite beside known ones': [{ ciphers: ['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA348'] }, 'CIPHER_UNKNOWN', /AES256-GCM-SHA348", did you mean "ECDHE-RSA-AES256-GCM-SHA384"/],
  'a group': [{ groups: ['X25519', 'X25591'] }, 'GROUP_UNKNOWN', /"X25591", did you mean "X25519"/],
  'a signature algorithm': [{ signatureAlgorithms: ['rsa_pss_rsae_sha265'] }, 'SIGNATURE_ALGORITHM_UNKNOWN', /rsa_pss_rsae_sha265/],
  'a range of protocols that is empty': [{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }, 'PROTOCOL_RANGE', /TLSv1\.3 is later/],
  'a version': [{ minVersion: 'SSLv3' as 'TLSv1' }, 'OPTION_INVALID', /"profile.minVersion" must be/],
  'a key': [{ cipher: ['x'] } as object, 'OPTION_UNKNOWN', /did you mean "ciphers"/],
}

for (const [what, [profile, error, message]] of Object.entries(unknown)) {
  test(`${what} that is unknown is refused by name`, async t => {
    t.throws(() => createServerContext({ ...ecSource, profile }), { code: code(error), message, exitCode: 78 })
  })
}

test('what a custom profile weakens is a warning each', async t => {
  const codes = validate({ ...ecSource, profile: { minVersion: 'TLSv1', ciphers: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'AES128-GCM-SHA256', '@SECLEVEL=0'] } }).map(({ code, message }) => `${code} ${message}`).filter(text => !text.startsWith('RUNTIME'))
  t.same(codes.map(text => text.replace(/, which.*/, '')), ['PROTOCOL_DEPRECATED the profile offers TLSv1', 'CIPHER_WEAK the profile offers ECDHE-ECDSA-AES128-SHA', 'CIPHER_WEAK the profile offers AES128-GCM-SHA256', 'CIPHER_WEAK the profile offers @SECLEVEL=0'])
})
