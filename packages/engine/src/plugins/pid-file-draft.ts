import { closeSync, constants, fchmodSync, fsyncSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Lock, openAndLock } from './pid-file-lock.js'

/** A PID file that is complete and locked, under a name that nobody reads. */
export interface Draft {
  readonly path: string
  readonly fd: number
  readonly lock: Lock
}

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** Everybody may read who the service is; only its owner may change it. */
const MODE = 0o644

const DRAFT = /^\d+-[0-9a-f]{16}\.tmp$/

/**
 * Writes the file that will be the PID file, in the same directory. What could not be completed is removed again.
 *
 * @throws what the system throws
 */
export function writeDraft (path: string, pid: number): Draft {
  const draft = draftName(path, pid)
  let fd: number | undefined
  try {
    const opened = openAndLock(draft, CREATE, 'exclusive')
    fd = opened.fd
    fchmodSync(fd, MODE)
    writeFileSync(fd, contentFor(pid))
    // After a power cut the name must not be there without the content; and a disk may say only here that it is full.
    fsyncSync(fd)
    return { path: draft, fd, lock: opened.lock }
  } catch (error) {
    removeName(draft)
    if (fd !== undefined) closeSync(fd)
    throw error
  }
}

export function contentFor (pid: number): string {
  return `${pid}\n`
}

export function draftName (path: string, pid: number): string {
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  return `${prefix(path)}${pid}-${randomBytes(8).toString('hex')}.tmp`
}

/** The drafts of a PID file: those of starts under way, and what killed ones have left. */
export function draftsOf (path: string): string[] {
  const start = basename(prefix(path))
  try {
    const names = readdirSync(dirname(path)).filter(name => name.startsWith(start) && DRAFT.test(name.slice(start.length)))
    return names.map(name => join(dirname(path), name))
  } catch {
    // A directory may be writable and not readable.
    return []
  }
}

/** Removes a name that may be gone already. */
export function removeName (path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function prefix (path: string): string {
  return join(dirname(path), `.${basename(path)}.`)
}
