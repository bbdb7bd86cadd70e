import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, readdirSync, readSync, statSync } from 'node:fs'
import { draftsOf } from './pid-file-draft.js'
import { asPIDFileError, PIDFileRefused } from './pid-file-errors.js'
import { type Lock, type LockKind, openAndLock } from './pid-file-lock.js'
import { runningProcess, type RunningProcess } from './process-start-time.js'

/** What a PID file says, as far as it is true. */
export type PIDFileState =
  | { state: 'running', pid: number }
  | { state: 'stale', pid?: number, reason: string }
  | { state: 'absent' }

/** How the process that the file names stands to the file: it cannot have been written before its writer started. */
export type Owner = 'unnamed' | 'gone' | 'younger' | 'plausible'

export interface OpenedPIDFile {
  readonly fd: number
  readonly lock: Lock
  readonly stats: BigIntStats
  /** `undefined` for an empty file. */
  readonly pid: number | undefined
  readonly owner: Owner
}

/** Without a symbolic link at the end, and without waiting for the other end of a FIFO. Windows has neither flag. */
export const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** ms by which a file may be older than its writer: the clock may have been set in between. */
const CLOCK_TOLERANCE = 2_000

/** Bytes; a PID and its newline are shorter. */
const LONGEST = 64
const PID = /^[1-9]\d{0,9}$/
const LARGEST_PID = 2 ** 31 - 1

const REASONS: Readonly<Record<Owner, (pid: number) => string>> = {
  unnamed: () => 'it is empty',
  gone: pid => `process ${pid} does not exist`,
  younger: pid => `process ${pid} started after the file was written: another program has that number now`,
  plausible: pid => `process ${pid} runs`,
}

/**
 * Says whether the process that a PID file names runs. `running`: it exists and, if nobody holds the lock of the file,
 * it is old enough to have written it. It takes some ms, in which nothing else runs.
 *
 * @throws `FST_KEEP_ENGINE_PID_FILE_REFUSED` for a symbolic link, a file with a second name, a directory, FIFO or
 * socket, and for a file that has something else in it than a PID; `FST_KEEP_ENGINE_PID_FILE_UNUSABLE` if it cannot be
 * read; `exitCode` is 73
 * @example
 * const file = readPIDFile('/run/app/app.pid')
 * if (file.state === 'running') console.log(`runs as ${file.pid}`)
 */
export function readPIDFile (path: string): PIDFileState {
  return withPIDFile(path, stateOf)
}

/**
 * Whether a process may be signalled as the owner of a PID file: the file names it, the process is older than the
 * file, and the lock of the file is held. Where the system shows the process's descriptors (Linux: to root, and to its
 * own user) the file must be among them, so that nobody who only can write to the file has another process killed;
 * without locks that alone decides.
 *
 * @throws as {@link readPIDFile}
 * @example if (isHeldBy('/run/app/app.pid', pid)) process.kill(pid, 'SIGTERM')
 */
export function isHeldBy (path: string, pid: number): boolean {
  return withPIDFile(path, file => {
    if (file === undefined || file.pid !== pid || file.owner !== 'plausible' || file.lock === 'ours') return false
    return hasOpen(pid, file.stats) ?? file.lock === 'theirs'
  })
}

/**
 * Opens what stands at the path, asks for its lock and reads it; `undefined` if nothing is there. The caller closes it.
 *
 * @throws as {@link readPIDFile}
 */
export function openPIDFile (path: string, kind: LockKind): OpenedPIDFile | undefined {
  const opened = open(path, kind)
  if (opened === undefined) return undefined
  try {
    const text = readText(path, opened.fd)
    const stats = fstatSync(opened.fd, { bigint: true })
    assertRegular(path, stats)
    const pid = parsePID(path, text)
    return { ...opened, stats, pid, owner: ownerOf(pid, Number(stats.mtimeMs), pid === undefined ? undefined : runningProcess(pid)) }
  } catch (error) {
    closeSync(opened.fd)
    throw error
  }
}

/** Why the file counts as stale, or what runs. */
export function reasonOf ({ owner, pid = 0, lock }: Pick<OpenedPIDFile, 'owner' | 'pid' | 'lock'>): string {
  const reason = REASONS[owner](pid)
  return lock === 'theirs' && owner !== 'plausible' ? `${reason}, yet a process that it does not name has locked it` : reason
}

export function ownerOf (pid: number | undefined, writtenAt: number, running: RunningProcess | undefined): Owner {
  if (pid === undefined) return 'unnamed'
  if (running === undefined) return 'gone'
  return running.startedAt !== undefined && running.startedAt > writtenAt + CLOCK_TOLERANCE ? 'younger' : 'plausible'
}

/** Whether the path still names the file. */
export function isAt (path: string, { dev, ino }: BigIntStats): boolean {
  const there = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return there !== undefined && there.dev === dev && there.ino === ino
}

function withPIDFile<T> (path: string, use: (file: OpenedPIDFile | undefined) => T): T {
  const file = openPIDFile(path, 'shared')
  try {
    return use(file)
  } finally {
    if (file !== undefined) closeSync(file.fd)
  }
}

function stateOf (file: OpenedPIDFile | undefined): PIDFileState {
  if (file === undefined) return { state: 'absent' }
  const { pid, owner, lock } = file
  if (pid === undefined) return { state: 'stale', reason: reasonOf(file) }
  // A clock that was set makes a process look younger than its file; a lock does not depend on it.
  const isRunning = owner === 'plausible' || (owner === 'younger' && lock === 'theirs')
  return isRunning ? { state: 'running', pid } : { state: 'stale', pid, reason: reasonOf(file) }
}

function open (path: string, kind: LockKind): { fd: number, lock: Lock } | undefined {
  try {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    if (stats === undefined) return undefined
    // Opening a device can have effects.
    assertRegular(path, stats)
    return openAndLock(path, OPEN_FLAGS, kind)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw new PIDFileRefused(path, 'it is a symbolic link')
    throw asPIDFileError(path, 'read', error)
  }
}

function assertRegular (path: string, stats: BigIntStats): void {
  if (stats.isFile()) return assertNoOtherName(path, stats)
  throw new PIDFileRefused(path, `it is ${kindOf(stats)}`)
}

function kindOf (stats: BigIntStats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link'
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a FIFO'
  return stats.isSocket() ? 'a socket' : 'a device'
}

/** A start gives its draft the name of the PID file, and if it is killed then, the draft's own name stays as well. */
function assertNoOtherName (path: string, { nlink, dev, ino }: BigIntStats): void {
  if (nlink <= 1n) return
  const drafts = draftsOf(path).filter(draft => isAt(draft, { dev, ino } as BigIntStats))
  const now = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (now !== undefined && now.ino === ino && now.nlink > 1 + drafts.length) {
    throw new PIDFileRefused(path, 'the same file has a second name, as a hard link')
  }
}

function readText (path: string, fd: number): string {
  const buffer = Buffer.alloc(LONGEST + 1)
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0))
  } catch (error) {
    throw asPIDFileError(path, 'read', error)
  }
}

function parsePID (path: string, text: string): number | undefined {
  const word = text.trim()
  if (word === '' && text.length <= LONGEST) return undefined
  const pid = Number(word)
  // What else is in the file may be a secret.
  if (text.length > LONGEST || !PID.test(word) || pid > LARGEST_PID) throw new PIDFileRefused(path, 'it has something else in it than a PID')
  return pid
}

/** Whether a process has a file open; `undefined` where that may not be seen. */
function hasOpen (pid: number, { dev, ino }: BigIntStats): boolean | undefined {
  const directory = `/proc/${pid}/fd`
  try {
    return readdirSync(directory).some(fd => {
      const stats = statSync(`${directory}/${fd}`, { bigint: true, throwIfNoEntry: false })
      return stats?.dev === dev && stats.ino === ino
    })
  } catch {
    return undefined
  }
}
