/** `error`: serving would fail, or be worse than not serving; `warning`: it serves, and something is to be done. */
export type Severity = 'error' | 'warning' | 'info'

/** One thing that a check found in certificates, keys, client trust or the runtime. */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** What is wrong, with which value; never a secret. */
  readonly message: string
  /** What to do. */
  readonly fix: string
}

/** What each code is by default worth; the README lists the same. */
export const severities = {
  KEY_MISMATCH: 'error',
  LEAF_NOT_FIRST: 'error',
  CERTIFICATE_EXPIRED: 'error',
  CERTIFICATE_NOT_YET_VALID: 'error',
  WEAK_SIGNATURE: 'error',
  WEAK_KEY: 'error',
  HOST_MISMATCH: 'error',
  NO_SERVER_AUTH: 'error',
  KEY_USAGE: 'error',
  MUST_STAPLE: 'error',
  DH_TOO_SMALL: 'error',
  DUPLICATE_KEY_TYPE: 'error',
  SNI_KEY_TYPE: 'error',
  CLIENT_CA_EMPTY: 'error',
  CLIENT_CA_NOT_AUTHORITY: 'error',
  CRL_MISSING: 'error',
  CRL_EXPIRED: 'error',
  CRL_UNKNOWN_ISSUER: 'warning',
  CA_DUPLICATE: 'warning',
  CHAIN_ORDER: 'warning',
  CHAIN_INCOMPLETE: 'warning',
  CHAIN_HAS_ROOT: 'warning',
  CHAIN_EXPIRED: 'warning',
  CERTIFICATE_DUPLICATE: 'warning',
  EXPIRES_SOON: 'warning',
  LIFETIME_TOO_LONG: 'warning',
  SELF_SIGNED: 'warning',
  LEAF_IS_AUTHORITY: 'warning',
  NO_SUBJECT_ALT_NAME: 'warning',
  KEY_FILE_MODE: 'warning',
  KEY_WEAK_ENCRYPTION: 'warning',
  KEY_LEGACY_DERIVATION: 'warning',
  PROTOCOL_DEPRECATED: 'warning',
  CIPHER_WEAK: 'warning',
  TICKETS_NOT_SHARED: 'warning',
  RUNTIME_ADVISORY: 'warning',
} as const satisfies Record<string, Severity>

export type FindingCode = keyof typeof severities

export function finding (code: FindingCode, message: string, fix: string, severity: Severity = severities[code]): Finding {
  return { code, severity, message, fix }
}
