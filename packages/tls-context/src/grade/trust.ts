import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { factsOf, isSignedBy, keyOf } from '../certificates/certificate-facts.js'
import { isCovered, subjectOf } from '../certificates/validate.js'

/** Why a chain is not trusted, or `null`. */
export type TrustFault = 'self-signed' | 'untrusted' | 'incomplete' | 'expired' | 'not yet valid' | 'revoked' | 'weak signature' | 'not an authority' | 'not for servers'

export interface CertificateScan {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  readonly keyType: string
  readonly keyBits: number
  readonly signatureAlgorithm: string
  readonly validFrom: Date
  readonly validTo: Date
  readonly fingerprint256: string
  /** Certificates that the server sent with it. */
  readonly chainLength: number
  readonly isOrdered: boolean
  readonly hasRoot: boolean
  /** Whether it tells where its issuer's certificate is. */
  readonly hasIssuerUrl: boolean
  readonly ocspResponders: readonly string[]
  readonly mustStaple: boolean
  /** `undefined` where no name was asked for. */
  readonly hasName: boolean | undefined
  readonly faults: readonly TrustFault[]
}

const weakSignature = /^(md2|md5|sha1)With|WithSha1$/
const serverAuth = '1.3.6.1.5.5.7.3.1'
const anyUse = '2.5.29.37.0'

export function scanCertificate (chain: readonly X509Certificate[], anchors: readonly X509Certificate[], name: string | undefined, now: Date): CertificateScan | undefined {
  const [leaf] = chain
  if (leaf === undefined) return undefined
  const { validFrom, validTo, names, signatureAlgorithm, issuerUrls, ocspResponders, mustStaple } = factsOf(leaf)
  const { type, bits } = keyOf(leaf)
  return {
    subject: subjectOf(leaf),
    issuer: leaf.issuer.split('\n').join(', '),
    names: [...names.dns, ...names.ip],
    keyType: type,
    keyBits: bits,
    signatureAlgorithm,
    validFrom,
    validTo,
    fingerprint256: leaf.fingerprint256,
    chainLength: chain.length,
    isOrdered: chain.every((certificate, index) => index === 0 || chain[index - 1]?.checkIssued(certificate) === true),
    hasRoot: chain.slice(1).some(certificate => factsOf(certificate).isSelfSigned),
    hasIssuerUrl: issuerUrls.length > 0,
    ocspResponders,
    mustStaple,
    hasName: name === undefined ? undefined : isCovered(leaf, name),
    faults: faultsOf(leaf, chain, anchors, now),
  }
}

/** The roots of Node and those given in addition. */
export function trustAnchors (extra: readonly X509Certificate[]): X509Certificate[] {
  publicRoots ??= rootCertificates.map(pem => new X509Certificate(pem))
  return [...extra, ...publicRoots]
}

let publicRoots: X509Certificate[] | undefined

function faultsOf (leaf: X509Certificate, chain: readonly X509Certificate[], anchors: readonly X509Certificate[], now: Date): TrustFault[] {
  const faults = new Set<TrustFault>()
  const path = [leaf]
  const { extendedKeyUsage } = factsOf(leaf)
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.some(use => use === serverAuth || use === anyUse)) faults.add('not for servers')
  for (let current = leaf; path.length < 10;) {
    const anchor = anchors.find(candidate => candidate.fingerprint256 === current.fingerprint256 || isIssuer(current, candidate))
    // The signature of an anchor itself proves nothing and is not looked at.
    if (anchor?.fingerprint256 !== current.fingerprint256) check(current)
    if (anchor !== undefined) {
      if (factsOf(anchor).validTo < now) faults.add('expired')
      break
    }
    if (factsOf(current).isSelfSigned) {
      faults.add(path.length === 1 ? 'self-signed' : 'untrusted')
      break
    }
    const issuer = chain.find(candidate => !path.includes(candidate) && isIssuer(current, candidate))
    if (issuer === undefined) {
      faults.add('incomplete')
      break
    }
    if (!factsOf(issuer).isAuthority) faults.add('not an authority')
    path.push(issuer)
    current = issuer
  }
  return [...faults]

  function check (certificate: X509Certificate): void {
    const { validFrom, validTo, signatureAlgorithm, isSelfSigned } = factsOf(certificate)
    if (validTo < now) faults.add('expired')
    if (validFrom > now) faults.add('not yet valid')
    if (!isSelfSigned && weakSignature.test(signatureAlgorithm)) faults.add('weak signature')
  }
}

function isIssuer (certificate: X509Certificate, candidate: X509Certificate): boolean {
  return certificate.checkIssued(candidate) && isSignedBy(certificate, candidate)
}
