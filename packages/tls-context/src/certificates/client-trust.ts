import { createHash, X509Certificate } from 'node:crypto'
import { derOf, notPem, pemBlocks, pemOf, readSource, type PemSource } from './pem.js'
import { itemsOf, readDer, readTime, type DerValue } from './der-read.js'
import { tlsContextError } from '../errors.js'
import { factsOf } from './certificate-facts.js'
import { textOfName, readDistinguishedName } from './distinguished-name.js'
import { finding, type Finding } from './finding.js'
import { subjectOf } from './validate.js'

/** The authorities that client certificates are to come from, and what these have revoked. */
export interface ClientTrust {
  readonly authorities: readonly X509Certificate[]
  readonly revocationLists: readonly RevocationList[]
  /** In the form that OpenSSL takes. */
  readonly caPem: readonly string[]
  readonly crlPem: readonly string[]
  /** SHA-256 of all of it: another value, and no session of before is resumed. */
  readonly digest: string
  readonly paths: readonly string[]
}

/** A CRL (RFC 5280 section 5). */
export interface RevocationList {
  readonly issuer: Buffer
  readonly issuerText: string
  readonly thisUpdate: Date
  readonly nextUpdate: Date | undefined
}

export interface ClientTrustSource {
  readonly ca: PemSource | readonly PemSource[]
  readonly crl?: PemSource | readonly PemSource[]
}

const maxMebibytes = 64

export function loadClientTrust ({ ca, crl }: ClientTrustSource): ClientTrust {
  const paths: string[] = []
  const blocksOf = (sources: PemSource | readonly PemSource[], option: string, label: string) => listOf(sources).flatMap(source => {
    const { bytes, name, path } = readSource(source, option, maxMebibytes)
    if (path !== undefined) paths.push(path)
    const text = Buffer.from(bytes).toString()
    const blocks = pemBlocks(text).filter(block => block.label === label || (label === 'X509 CRL' && block.label === 'CRL'))
    if (blocks.length === 0 && label === 'X509 CRL') throw notPem(option, name, label, text)
    return blocks
  })
  const authorities = blocksOf(ca, 'client.ca', 'CERTIFICATE').map(block => parsed('client.ca', () => readableCertificate(derOf(block))))
  const lists = crl === undefined ? [] : blocksOf(crl, 'client.crl', 'X509 CRL').map(derOf)
  const revocationLists = lists.map(der => parsed('client.crl', () => readRevocationList(der)))
  const digest = createHash('sha256')
  for (const { raw } of authorities) digest.update(raw)
  for (const der of lists) digest.update(der)
  return {
    authorities,
    revocationLists,
    caPem: authorities.map(({ raw }) => pemOf('CERTIFICATE', raw)),
    crlPem: lists.map(der => pemOf('X509 CRL', der)),
    digest: digest.digest('hex'),
    paths,
  }
}

function listOf (sources: PemSource | readonly PemSource[]): readonly PemSource[] {
  return typeof sources === 'string' || sources instanceof Uint8Array ? [sources] : sources
}

function parsed<Result> (option: string, parse: () => Result): Result {
  try {
    return parse()
  } catch {
    throw tlsContextError('CERTIFICATE_INVALID', `option "${option}": one of its PEM blocks is damaged. Copy it anew from where it was issued`)
  }
}

function readableCertificate (der: Buffer): X509Certificate {
  const certificate = new X509Certificate(der)
  factsOf(certificate)
  return certificate
}

function readRevocationList (der: Buffer): RevocationList {
  const [list = readDer(der)] = itemsOf(readDer(der))
  const fields = itemsOf(list).filter((field, index) => !(index === 0 && field.tag === 0x02))
  const [, issuer, thisUpdate, nextUpdate] = fields as [DerValue, DerValue, DerValue, DerValue | undefined]
  const isTime = nextUpdate !== undefined && (nextUpdate.tag === 0x17 || nextUpdate.tag === 0x18)
  return {
    issuer: issuer.raw,
    issuerText: textOfName(readDistinguishedName(issuer)),
    thisUpdate: readTime(thisUpdate),
    nextUpdate: isTime ? readTime(nextUpdate) : undefined,
  }
}

export function validateClientTrust ({ authorities, revocationLists }: ClientTrust, now: Date): Finding[] {
  return [...authorityFindings(authorities), ...revocationFindings(authorities, revocationLists, now)]
}

function * authorityFindings (authorities: readonly X509Certificate[]): Generator<Finding> {
  if (authorities.length === 0) yield finding('CLIENT_CA_EMPTY', 'option "client.ca" holds no certificate: OpenSSL takes that without a word and refuses every client', 'give the certificate of the authority that issues the clients\' certificates')
  for (const authority of authorities.filter(authority => factsOf(authority).version === 3 && !factsOf(authority).isAuthority)) {
    yield finding('CLIENT_CA_NOT_AUTHORITY', `${subjectOf(authority)} in option "client.ca" is no authority: nothing that it signed is taken`, 'give the certificate of the authority, not one that it issued')
  }
  const subjects = authorities.map(subjectOf)
  const duplicate = subjects.find((subject, index) => subjects.indexOf(subject) !== index)
  if (duplicate !== undefined) yield finding('CA_DUPLICATE', `two authorities in option "client.ca" are both called ${duplicate}: OpenSSL may try the wrong one`, 'leave the one out that is no longer used')
}

function * revocationFindings (authorities: readonly X509Certificate[], lists: readonly RevocationList[], now: Date): Generator<Finding> {
  if (lists.length === 0) return
  // With one CRL, OpenSSL demands one of every authority in a client's chain.
  for (const authority of authorities) {
    const subject = rawSubject(authority)
    if (!lists.some(({ issuer }) => issuer.equals(subject))) {
      yield finding('CRL_MISSING', `option "client.crl" has no list of ${subjectOf(authority)}: with one list given, OpenSSL refuses every client of an authority without one`, 'add its CRL')
    }
  }
  for (const { issuerText, nextUpdate, issuer } of lists) {
    if (nextUpdate !== undefined && nextUpdate < now) yield finding('CRL_EXPIRED', `the CRL of ${issuerText} is out of date since ${nextUpdate.toISOString()}: OpenSSL refuses every client`, 'fetch it anew, and see that this happens by itself')
    if (!authorities.some(authority => rawSubject(authority).equals(issuer))) yield finding('CRL_UNKNOWN_ISSUER', `the CRL of ${issuerText} belongs to no authority in option "client.ca"`, 'leave it out, or add the authority')
  }
}

function rawSubject (certificate: X509Certificate): Buffer {
  const [tbs] = itemsOf(readDer(certificate.raw))
  const fields = tbs === undefined ? [] : itemsOf(tbs)
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4]
  return subject?.raw ?? Buffer.alloc(0)
}
