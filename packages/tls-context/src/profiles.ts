import type { SecureVersion } from 'node:tls'

/** What a listener offers: protocol versions, cipher suites (TLS 1.3 and 1.2 names of OpenSSL), key exchange groups. */
export interface Profile {
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly ciphers: readonly string[]
  /** In order of preference; one that this Node version lacks is left out of the context. */
  readonly groups: readonly string[]
  /** `false`: the client chooses among the suites, all of them good, the one that its hardware does best. */
  readonly honorCipherOrder: boolean
}

/**
 * Mozilla's guideline 6.0 of 2026-04-06.
 *
 * @see https://github.com/mozilla/ssl-config-generator/blob/master/src/static/guidelines/6.0.json
 */
export const profiles = {
  intermediate: {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: [
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ],
    groups: ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1'],
    honorCipherOrder: false,
  },
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof profiles
