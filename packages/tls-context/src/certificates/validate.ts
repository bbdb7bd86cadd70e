import type { KeyObject, X509Certificate } from 'node:crypto'

/** One reason why a certificate and its key are not fit to serve. */
export interface Finding {
  readonly code: 'KEY_MISMATCH' | 'LEAF_NOT_FIRST' | 'CERTIFICATE_EXPIRED' | 'CERTIFICATE_NOT_YET_VALID'
  readonly message: string
  readonly fix: string
}

/**
 * Checks what OpenSSL lets pass until the first handshake fails. The dates are those of the leaf alone: a chain may
 * hold an expired cross-signed certificate on purpose, for old clients.
 */
export function validate (chain: readonly [X509Certificate, ...X509Certificate[]], privateKey: KeyObject, now: Date): Finding[] {
  const findings: Finding[] = []
  const [leaf, ...rest] = chain
  const { validFrom, validTo } = validityOf(leaf)

  // OpenSSL itself accepts an RSA key beside an EC certificate.
  if (!leaf.checkPrivateKey(privateKey)) {
    const position = rest.findIndex(certificate => certificate.checkPrivateKey(privateKey))
    findings.push(position === -1
      ? {
          code: 'KEY_MISMATCH',
          message: `the key (${privateKey.asymmetricKeyType}) does not belong to the certificate (${leaf.publicKey.asymmetricKeyType}, ${subjectOf(leaf)})`,
          fix: 'give the key that the certificate was requested with',
        }
      : {
          code: 'LEAF_NOT_FIRST',
          message: `the key belongs to certificate ${position + 2} of ${chain.length} in the chain (${subjectOf(chain[position + 1] ?? leaf)}), not to the first (${subjectOf(leaf)})`,
          fix: 'put the server\'s own certificate first, then each issuer after the one that it signed',
        })
  }
  if (now > validTo) {
    findings.push({
      code: 'CERTIFICATE_EXPIRED',
      message: `the certificate (${subjectOf(leaf)}) expired at ${validTo.toISOString()}`,
      fix: 'renew it',
    })
  }
  if (now < validFrom) {
    findings.push({
      code: 'CERTIFICATE_NOT_YET_VALID',
      message: `the certificate (${subjectOf(leaf)}) is valid from ${validFrom.toISOString()} on, and it is ${now.toISOString()} here`,
      fix: 'set this machine\'s clock, or wait',
    })
  }
  return findings
}

export function subjectOf (certificate: X509Certificate): string {
  // Empty where a certificate authority puts the names in the subjectAltName only; Node then says undefined.
  return (certificate.subject as string | undefined)?.split('\n').join(', ') ?? ''
}

export function validityOf (certificate: X509Certificate): { validFrom: Date, validTo: Date } {
  return { validFrom: new Date(certificate.validFrom), validTo: new Date(certificate.validTo) }
}
