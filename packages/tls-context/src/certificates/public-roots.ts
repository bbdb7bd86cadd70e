import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { isSignedBy } from './certificate-facts.js'

let bySubject: Map<string, X509Certificate[]> | undefined

/** The roots that come with Node, which are Mozilla's. Some 150, parsed when first asked for. */
function publicRoots (): Map<string, X509Certificate[]> {
  if (bySubject !== undefined) return bySubject
  bySubject = new Map()
  for (const pem of rootCertificates) {
    const root = new X509Certificate(pem)
    bySubject.set(root.subject, [...bySubject.get(root.subject) ?? [], root])
  }
  return bySubject
}

/** Whether the certificate is a public root, or signed by one. */
export function hasPublicRoot (certificate: X509Certificate): boolean {
  const roots = publicRoots().get(certificate.issuer) ?? []
  return roots.some(root => root.fingerprint256 === certificate.fingerprint256 || isSignedBy(certificate, root))
}
