import { closeSync, openSync } from 'node:fs'
import { asPIDFileError } from './pid-file-errors.js'

/**
 * `ours`: the descriptor has the lock; `theirs`: another one has it; `none`: this system gives Node no locks, because
 * it has no flock(1).
 */
export type Lock = 'ours' | 'theirs' | 'none'

/** `shared` only asks: it is had whenever nobody has the exclusive one. */
export type LockKind = 'exclusive' | 'shared'

interface Opened {
  readonly fd: number
  readonly lock: Lock
}

/** Systems whose open(2) takes the lock, as flock(2) would, with flags that Node passes on: O_EXLOCK, O_SHLOCK. */
const LOCK_AT_OPEN = new Set<NodeJS.Platform>(['darwin', 'freebsd', 'openbsd', 'netbsd'])
const O_LOCK: Readonly<Record<LockKind, number>> = { exclusive: 0x20, shared: 0x10 }

const FLOCK_OPTION: Readonly<Record<LockKind, string>> = { exclusive: '-x', shared: '-s' }

/**
 * Opens a file and tries to lock it, without waiting. The lock belongs to the open file: it lasts until the last
 * descriptor of it is closed, in whatever process, and ends with a SIGKILL of that.
 *
 * @param flags with `O_NONBLOCK`
 * @throws what open(2) throws; `FST_KEEP_ENGINE_PID_FILE_UNUSABLE` when the file system has no locks
 * @see flock(2)
 */
export function openAndLock (path: string, flags: number, kind: LockKind): Opened {
  if (LOCK_AT_OPEN.has(process.platform)) return openLocked(path, flags, kind)
  const fd = openSync(path, flags, 0o600)
  try {
    return { fd, lock: flock(path, fd, kind) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Whether a descriptor that was inherited has the exclusive lock of the file at the path. */
export function lockOfInherited (path: string, fd: number, flags: number): Lock {
  if (!LOCK_AT_OPEN.has(process.platform)) return flock(path, fd, 'exclusive')
  // Here a descriptor cannot be asked: that nobody can have the lock is as much as can be known.
  const { fd: probe, lock } = openLocked(path, flags, 'shared')
  closeSync(probe)
  return lock === 'theirs' ? 'ours' : 'theirs'
}

function openLocked (path: string, flags: number, kind: LockKind): Opened {
  try {
    return { fd: openSync(path, flags | O_LOCK[kind], 0o600), lock: 'ours' }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EAGAIN') throw error
    return { fd: openSync(path, flags, 0o600), lock: 'theirs' }
  }
}

/** The program locks the descriptor that it inherits, and what it has locked stays so when it has ended. */
function flock (path: string, fd: number, kind: LockKind): Lock {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, signal, stderr, error } = spawnSync('flock', ['-n', FLOCK_OPTION[kind], '3'], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe', fd],
    windowsHide: true,
  })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return 'none'
  if (status === 0) return 'ours'
  if (status === 1) return 'theirs'
  throw asPIDFileError(path, 'locked', error ?? new Error(`flock(1) ended with ${status ?? signal}: ${stderr.trim()}`))
}
