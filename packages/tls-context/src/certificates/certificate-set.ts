import { createPrivateKey, randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import { lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, tlsContextError } from '../errors.js'
import { withDirectoryLock } from './directory-lock.js'
import { readRegularFile, UnfitFile } from './regular-file.js'

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

/**
 * The set in a directory, or `undefined` where a file is missing, damaged, or does not belong to the others, or where
 * another user could have put it there.
 */
export async function readCertificateSet (directory: string, passphrase?: string): Promise<ReadCertificateSet | undefined> {
  const paths = certificateSetPaths(directory)
  try {
    if (await directoryFault(directory) !== undefined) return undefined
    const ca = new X509Certificate(readOwnFile(paths.ca))
    const leaf = new X509Certificate(readOwnFile(paths.cert))
    const key = privateKeyIn(readOwnFile(paths.key, { isPrivate: true }), passphrase)
    const belongTogether = leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && leaf.checkPrivateKey(key)
    return belongTogether ? { ca, leaf } : undefined
  } catch {
    return undefined
  }
}

/** A key that is not encrypted opens whatever the passphrase. */
function privateKeyIn (pem: string, passphrase: string | undefined): KeyObject {
  return createPrivateKey({ key: pem, ...passphrase !== undefined && { passphrase } })
}

/** Follows no symbolic link, and takes no file of another user and no private one that others may have read. */
function readOwnFile (path: string, { isPrivate = false } = {}): string {
  const { text, stats } = readRegularFile(path, { followsLinks: false })
  if (!isOfThisUser(stats)) throw new UnfitFile('belongs to another user')
  if (isPrivate && (stats.mode & 0o077) !== 0) throw new UnfitFile('is readable by others')
  return text
}

function isOfThisUser ({ uid }: { readonly uid: number }): boolean {
  return process.geteuid === undefined || uid === process.geteuid()
}

/** Why others than this user could change what is in the directory; `undefined` where they cannot. */
async function directoryFault (directory: string): Promise<string | undefined> {
  const stats = await stat(directory)
  if (!isOfThisUser(stats)) return 'belongs to another user, who can replace what is in it. Name a directory of the user that runs this process'
  if (process.geteuid !== undefined && (stats.mode & 0o022) !== 0) return 'can be written to by other users. Take that right away with: chmod go-w'
  return undefined
}

/**
 * Runs `action` in a directory that this user alone can write to, made with mode 0700 where it is missing, and while no
 * other process does the same there.
 *
 * Rejects with `FST_KEEP_TLS_CONTEXT_DIRECTORY_NOT_USABLE`, which any failure of the system becomes.
 */
export async function inOwnDirectory<Result> (directory: string, action: () => Promise<Result>): Promise<Result> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const fault = await directoryFault(directory)
    if (fault !== undefined) throw tlsContextError('DIRECTORY_NOT_USABLE', `${directory} ${fault}`)
    return await withDirectoryLock(directory, action)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw tlsContextError('DIRECTORY_NOT_USABLE', `cannot write a certificate to ${directory} (${systemCode(error)}). Name a directory that this user can write to`)
  }
}

/**
 * Replaces the set in a directory; the key gets mode 0600.
 *
 * All three files are whole on disk under temporary names before anything is replaced. Then the old certificate goes
 * first and the new one comes last, so that whenever the process dies the directory holds the old set, the new set,
 * or no `cert.pem`: never one of the old beside one of the new that a server could start with.
 */
export async function writeCertificateSet (directory: string, set: CertificateSet): Promise<void> {
  const paths = certificateSetPaths(directory)
  const suffix = `.${randomBytes(8).toString('hex')}.tmp`
  try {
    await writeNewFile(paths.ca + suffix, set.ca, 0o644)
    await writeNewFile(paths.key + suffix, set.key, 0o600)
    await writeNewFile(paths.cert + suffix, set.cert, 0o644)

    await rm(paths.cert, { force: true })
    await rename(paths.ca + suffix, paths.ca)
    await rename(paths.key + suffix, paths.key)
    await rename(paths.cert + suffix, paths.cert)
  } catch (error) {
    await Promise.allSettled(Object.values(paths).map(path => rm(path + suffix, { force: true })))
    throw error
  }
}

/** Writes all files or none: `false` where one of them is there already. */
export async function writeNewFiles (files: ReadonlyArray<readonly [path: string, text: string, mode: number]>): Promise<boolean> {
  const written: string[] = []
  try {
    for (const [path, text, mode] of files) {
      await writeNewFile(path, text, mode)
      written.push(path)
    }
    return true
  } catch (error) {
    await Promise.allSettled(written.map(path => rm(path, { force: true })))
    if (systemCode(error) === 'EEXIST') return false
    throw error
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

/** How to know the two kinds of certificate that are ours. */
export interface Ours {
  isAuthority (certificate: X509Certificate): boolean
  isLeaf (certificate: X509Certificate): boolean
}

/**
 * Throws `FST_KEEP_TLS_CONTEXT_DIRECTORY_TAKEN` where replacing the set would destroy a file of another origin. An
 * empty file is nothing to lose. A key is ours when it is that of our certificate; beside our authority alone it is
 * what a process that died while it replaced a set left behind.
 */
export async function refuseForeignSet (directory: string, ours: Ours, passphrase?: string): Promise<void> {
  const paths = certificateSetPaths(directory)
  const ca = await content(paths.ca, text => new X509Certificate(text))
  const leaf = await content(paths.cert, text => new X509Certificate(text))
  const key = await content(paths.key, text => privateKeyIn(text, passphrase))

  const isReplaceable = (ca === 'nothing' || (ca !== 'unreadable' && ours.isAuthority(ca))) &&
    (leaf === 'nothing' || (leaf !== 'unreadable' && ours.isLeaf(leaf))) &&
    (key === 'nothing' || (leaf === 'nothing' ? ca !== 'nothing' : isKeyOf(leaf, key)))
  if (!isReplaceable) {
    throw tlsContextError('DIRECTORY_TAKEN', `${directory} holds a certificate or key that is not known to be a development certificate, and it would be replaced. Name another directory, or move ca.pem, cert.pem and key.pem away`)
  }
}

function isKeyOf (leaf: X509Certificate | 'unreadable', key: KeyObject | 'unreadable'): boolean {
  return leaf !== 'unreadable' && key !== 'unreadable' && leaf.checkPrivateKey(key)
}

/** Follows symbolic links: certbot's certificates are reached through them. */
async function content<Parsed> (path: string, parse: (text: string) => Parsed): Promise<Parsed | 'nothing' | 'unreadable'> {
  try {
    const { text } = readRegularFile(path)
    return text.trim() === '' ? 'nothing' : parse(text)
  } catch {
    // A link that leads nowhere is there too.
    return await lstat(path).then(() => 'unreadable', () => 'nothing')
  }
}
