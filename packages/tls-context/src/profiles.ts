import type { SecureVersion } from 'node:tls'

/** What a listener offers: protocol versions, cipher suites (TLS 1.3 and 1.2 names of OpenSSL), key exchange groups. */
export interface Profile {
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly ciphers: readonly string[]
  /** In order of preference; of a named profile, one that this Node version lacks is left out of the context. */
  readonly groups: readonly string[]
  /** Default: those of OpenSSL. */
  readonly signatureAlgorithms?: readonly string[]
  /** `false`: the client chooses among the suites, all of them good, the one that its hardware does best. */
  readonly honorCipherOrder: boolean
  /** Where it comes from. */
  readonly source: string
}

const mozilla = 'https://github.com/mozilla/ssl-config-generator/blob/master/src/static/guidelines/6.0.json (2026-04-06)'
const sslLabs = 'https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide (2009r, 2025-05-16)'

const tls13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'] as const
const tls13With256Bits = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'] as const
const tls12With256Bits = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
] as const
const groups = ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1'] as const

export const profiles = {
  intermediate: {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: [
      ...tls13,
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ],
    groups,
    honorCipherOrder: false,
    source: mozilla,
  },
  modern: { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: tls13, groups, honorCipherOrder: false, source: mozilla },
  /** TLS 1.2 and 1.3 with suites of 256 bits and forward secrecy alone. */
  strict256: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', ciphers: [...tls13With256Bits, ...tls12With256Bits], groups, honorCipherOrder: true, source: sslLabs },
  modern256: { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: tls13With256Bits, groups, honorCipherOrder: true, source: sslLabs },
  /** `strict256` without the groups that SSL Labs scores with 90: no hybrid, and a third of the handshakes a second. */
  ssllabs100: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', ciphers: [...tls13With256Bits, ...tls12With256Bits], groups: ['secp384r1', 'secp521r1'], honorCipherOrder: true, source: sslLabs },
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof profiles
