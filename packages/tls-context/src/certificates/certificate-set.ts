import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, tlsContextError } from '../errors.js'

/** The PEM texts of an authority's certificate and of a leaf and key under it. */
export interface CertificateSet {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export type CertificateSetPaths = CertificateSet

export function certificateSetPaths (directory: string): CertificateSetPaths {
  return { ca: join(directory, 'ca.pem'), cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
}

export interface ReadCertificateSet {
  readonly ca: X509Certificate
  readonly leaf: X509Certificate
}

/** The set in a directory, or `undefined` where a file is missing, damaged, or does not belong to the others. */
export async function readCertificateSet (directory: string): Promise<ReadCertificateSet | undefined> {
  const paths = certificateSetPaths(directory)
  try {
    const ca = new X509Certificate(await readRegularFile(paths.ca))
    const leaf = new X509Certificate(await readRegularFile(paths.cert))
    const key = createPrivateKey(await readRegularFile(paths.key, { isPrivate: true }))
    const belongTogether = leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && leaf.checkPrivateKey(key)
    return belongTogether ? { ca, leaf } : undefined
  } catch {
    return undefined
  }
}

/** Follows no symbolic link, and takes no private file that others may have read. */
async function readRegularFile (path: string, { isPrivate = false } = {}): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { mode } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error('not a regular file')
    if (isPrivate && (mode & 0o077) !== 0) throw new Error('readable by others')
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/**
 * Replaces the set in a directory, made with mode 0700 where it is missing; the key gets mode 0600.
 *
 * All three files are whole on disk under temporary names before anything is replaced. Then the old certificate goes
 * first and the new one comes last, so that whenever the process dies the directory holds the old set, the new set,
 * or no `cert.pem`: never one of the old beside one of the new that a server could start with.
 */
export async function writeCertificateSet (directory: string, set: CertificateSet): Promise<void> {
  const paths = certificateSetPaths(directory)
  const suffix = `.${randomBytes(8).toString('hex')}.tmp`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeNewFile(paths.ca + suffix, set.ca, 0o644)
    await writeNewFile(paths.key + suffix, set.key, 0o600)
    await writeNewFile(paths.cert + suffix, set.cert, 0o644)

    await rm(paths.cert, { force: true })
    await rename(paths.ca + suffix, paths.ca)
    await rename(paths.key + suffix, paths.key)
    await rename(paths.cert + suffix, paths.cert)
  } catch (error) {
    await Promise.allSettled(Object.values(paths).map(path => rm(path + suffix, { force: true })))
    throw tlsContextError('DIRECTORY_NOT_USABLE', `cannot write a certificate to ${directory} (${systemCode(error)}). Name a directory that this user can write to`)
  }
}

async function writeNewFile (path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Throws `FST_KEEP_TLS_CONTEXT_DIRECTORY_TAKEN` where replacing the set would destroy files of another origin: one of
 * the certificates is not ours, or none can be read that says that the files are.
 */
export async function refuseForeignSet (directory: string, isOurs: (certificate: X509Certificate) => boolean): Promise<void> {
  const paths = certificateSetPaths(directory)
  const present = await Promise.all(Object.values(paths).map(exists))
  if (!present.includes(true)) return
  const certificates = [await parsedCertificate(paths.ca), await parsedCertificate(paths.cert)].filter(certificate => certificate !== undefined)
  if (certificates.length === 0 || !certificates.every(isOurs)) {
    throw tlsContextError('DIRECTORY_TAKEN', `${directory} holds a certificate or key that is not known to be a development certificate, and it would be replaced. Name another directory, or move ca.pem, cert.pem and key.pem away`)
  }
}

/** Follows symbolic links: certbot's certificates are reached through them. */
async function parsedCertificate (path: string): Promise<X509Certificate | undefined> {
  try {
    return new X509Certificate(await readFile(path))
  } catch {
    return undefined
  }
}

function exists (path: string): Promise<boolean> {
  return lstat(path).then(() => true, () => false)
}
