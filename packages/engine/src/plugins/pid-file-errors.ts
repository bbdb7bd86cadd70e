import { dirname } from 'node:path'
import { engineError } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** Another instance runs and has the PID file. */
export const PIDFileHeld = engineError('PID_FILE_HELD', 'PID file %s: %s; stop that instance, or give this one a PID file of its own', ExitCode.CANNOT_CREATE)

/** What stands at the path is not a PID file; it was left as it is. */
export const PIDFileRefused = engineError('PID_FILE_REFUSED', 'PID file %s: %s; nothing was changed: remove it or choose another path', ExitCode.CANNOT_CREATE)

/** The system did not let the PID file be read, made, locked or removed. */
export const PIDFileUnusable = engineError('PID_FILE_UNUSABLE', 'PID file %s cannot be %s: %s', ExitCode.CANNOT_CREATE)

const ADVICE: Readonly<Record<string, (path: string) => string>> = {
  EACCES: path => `no permission for this user; choose a directory that the service may write to, such as its own below /run, instead of ${dirname(path)}`,
  EPERM: path => `the system does not permit it in ${dirname(path)}; choose a directory that belongs to the service, on a file system with hard links, such as its own below /run`,
  EROFS: path => `${dirname(path)} is on a file system that is mounted read-only`,
  ENOENT: path => `the directory ${dirname(path)} does not exist; create it first`,
  ENOTDIR: path => `${dirname(path)} is not a directory`,
  ENOSPC: path => `no space left on the file system of ${dirname(path)}`,
  EDQUOT: path => `the disk quota in ${dirname(path)} is used up`,
  EFBIG: () => 'the limit on the size of files (ulimit -f) does not allow it',
  EMFILE: () => 'this process has no file descriptors left (ulimit -n)',
  ENFILE: () => 'the system has no file descriptors left',
}

/**
 * A refusal of the system, with what can be done about it; an error of this package stays what it is.
 *
 * @param done what could not be done: `made`, `read`, `locked`, `removed`
 */
export function asPIDFileError (path: string, done: string, cause: unknown): Error {
  const { code = '', message } = cause as NodeJS.ErrnoException
  return code.startsWith('FST_') ? cause as Error : new PIDFileUnusable(path, done, ADVICE[code]?.(path) ?? message, { cause })
}
