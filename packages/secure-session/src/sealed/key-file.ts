import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { platform } from 'node:process'
import { configurationError, KeyFileExposed, KeyFileUnreadable, KeyInvalid } from '../errors.js'

/** Who may read a key file. Nobody but its owner may write it in any case. */
export type KeyFileReaders = 'owner' | 'group' | 'everyone'

/** Bits of the mode that a key file must not have. */
const FORBIDDEN_MODE: Readonly<Record<KeyFileReaders, number>> = { owner: 0o077, group: 0o037, everyone: 0o033 }

const MOST_BYTES = 64 * 1024

/** Padded base64, hexadecimal digits, and 32 bytes of base64 without padding, in which lower and upper case are mixed. */
const KEY_SHAPES = [/^[\w+/-]{16,}={1,2}$/, /^[0-9a-f]{32,}$/i, /^(?=.*[a-z])(?=.*[A-Z])[\w+/-]{43}$/]

/**
 * Reads a key file.
 * @throws FST_KEEP_SECURE_SESSION_KEY_FILE_UNREADABLE for what is not there, no regular file, or over 64 KiB
 * @throws FST_KEEP_SECURE_SESSION_KEY_FILE_EXPOSED for a file that others than `readers` may reach
 * @throws FST_KEEP_SECURE_SESSION_KEY_INVALID for a key in place of the path
 */
export function readKeyFile (path: string, readers: KeyFileReaders, environment: NodeJS.ProcessEnv): string {
  const descriptor = opened(path)
  try {
    // Of the open descriptor, so that the file checked is the file read.
    const status = fstatSync(descriptor)
    if (!status.isFile()) throw unreadable(path, 'not a regular file')
    const isCredential = isBelow(environment.CREDENTIALS_DIRECTORY, path)
    assertMode(path, status.mode & 0o777, isCredential && readers === 'owner' ? 'group' : readers)
    return textOf(descriptor, path)
  } catch (error) {
    throw isSystemError(error) ? unreadable(path, error.code, error) : error
  } finally {
    closeSync(descriptor)
  }
}

function opened (path: string): number {
  try {
    // O_NONBLOCK (not on Windows, where it counts as 0): to open a FIFO would wait for its writer.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    // Without the cause: its message shows the key.
    if (looksLikeKey(path)) throw configurationError(new KeyInvalid('option "keyFile"', 'holds a key, not a path. Put the key into a file and name that, or give it as option "keys"'))
    throw isSystemError(error) ? unreadable(path, error.code, error) : error
  }
}

function looksLikeKey (path: string): boolean {
  return path.split(/[\s,]+/).some(word => KEY_SHAPES.some(shape => shape.test(word)))
}

// systemd gives credentials to the service's user by an access control list, which shows as the group's bits (systemd.exec, LoadCredential).
function isBelow (directory: string | undefined, path: string): boolean {
  if (directory === undefined || !isAbsolute(directory)) return false
  const way = relative(directory, resolve(path))
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function assertMode (path: string, mode: number, readers: KeyFileReaders): void {
  // Windows has no such mode.
  if (platform === 'win32' || (mode & FORBIDDEN_MODE[readers]) === 0) return
  const reach = (mode & 0o022) === 0 ? 'read' : 'change'
  throw configurationError(new KeyFileExposed(path, mode.toString(8).padStart(4, '0'), reach))
}

// Not by the size in its status: files of /proc have none there and can be without end.
function textOf (descriptor: number, path: string): string {
  const bytes = Buffer.alloc(MOST_BYTES + 1)
  let length = 0
  let read: number
  do {
    read = readSync(descriptor, bytes, length, bytes.length - length, null)
    length += read
  } while (read > 0 && length <= MOST_BYTES)
  if (length > MOST_BYTES) throw unreadable(path, `more than ${MOST_BYTES} bytes`)
  return bytes.toString('utf8', 0, length)
}

function unreadable (path: string, reason: string, cause?: Error): Error {
  return configurationError(cause === undefined ? new KeyFileUnreadable(path, reason) : new KeyFileUnreadable(path, reason, { cause }))
}

function isSystemError (error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'syscall' in error
}
