import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { closeSync, constants, existsSync, fchownSync, fstatSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { integer, optionChecker, type Rule } from '@fastkeep/options'
import type { Engine } from '../engine.js'
import { DropUnsupported, FileRefused, NotDropped, NotReadable, NotRoot } from './drop-privileges-errors.js'
import { readThreadStatuses, regainedPrivileges, supplementaryGroups, threadFaults, type Identity } from './privileges-check.js'
import { describeAccount, resolveAccount, type Account } from './users.js'

export interface DropPrivilegesOptions {
  /** The user to become: a name, or a number, which needs no entry in the user database. */
  user: string | number
  /** Its group, by name or number. Default: the user's own. */
  group?: string | number
  /** The file mode creation mask from then on, e.g. `0o027`. Default: as it is. */
  umask?: number
  /** Regular files to give to the user before the drop: logs, never the PID file. They must exist at `start` 76. Default: none. */
  files?: readonly string[]
  /** Keys and directories that the user must be able to read later. Default: none. */
  readable?: readonly string[]
}

/** Published on the diagnostics channel `fastkeep:engine:privileges-dropped`. */
export interface PrivilegesDropped extends Identity {
  readonly engine: Engine
}

const userOrGroup: Rule = {
  expected: 'a name that is not empty or a number',
  accepts: value => typeof value === 'string' ? value !== '' : integer(0, 0xFFFF_FFFE, 'ids').accepts(value),
}

const paths: Rule = {
  expected: 'an array of paths',
  accepts: value => Array.isArray(value) && value.every(path => typeof path === 'string' && path !== ''),
}

const umask: Rule = { expected: 'a number from 0 to 0o777', accepts: integer(0, 0o777, 'bits').accepts }

const RULES = { user: userOrGroup, group: userOrGroup, umask, files: paths, readable: paths } satisfies Record<keyof DropPrivilegesOptions, Rule>

const checkOptions = optionChecker('engine')

const dropped = diagnosticsChannel('fastkeep:engine:privileges-dropped')

/**
 * Has a service that was started as root for its port or its keys run as somebody else, before it accepts the first
 * connection. Linux only, for the proof that follows the drop; where the process is that user and group already, any
 * POSIX system.
 *
 * - `start` 5: finds user and group, and, in a process of its own that becomes that user (the start of a Node, 40 to
 *   100 ms, only with `readable`), whether it can read what it will need; nothing has been changed when that fails
 * - `start` 76: gives it `files` and the unix sockets
 * - `start` 77: sets the supplementary groups (those of the user's entry; of a number without one, only its group), the
 *   group and the user; then HOME, USER and LOGNAME
 *
 * The start fails unless every thread has changed, no capability is left and root cannot be regained.
 *
 * A process that is the user and group already is left as it is, but for the umask; so a second start of the bus drops
 * nothing twice.
 *
 * @throws at construction `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`; from `start()`, each with
 *   the prefix `FST_KEEP_ENGINE_PRIVILEGES_`: `USER_UNKNOWN`, `GROUP_UNKNOWN`, `TARGET_ROOT` (exit code 78), `NOT_ROOT`,
 *   `UNSUPPORTED`, `NOT_READABLE`, `FILE_REFUSED`, `NOT_DROPPED` (77), `LOOKUP` (71)
 * @see https://man7.org/linux/man-pages/man7/credentials.7.html
 * @example
 * new DropPrivileges(engine, { user: 'www-data', umask: 0o027, files: ['/var/log/shop.log'] }).subscribe()
 */
export class DropPrivileges {
  readonly #engine: Engine
  readonly #options: DropPrivilegesOptions
  readonly #files: readonly string[]
  readonly #readable: readonly string[]
  #subscriptions: Array<() => void> = []
  #account: Account | undefined
  /** What to become; `undefined` if the process is that already. */
  #target: Identity | undefined

  constructor (engine: Engine, options: DropPrivilegesOptions) {
    // The check takes `undefined` for an option that was left out, which `user` must not be.
    checkOptions({ ...options, user: options.user ?? null }, RULES)
    this.#engine = engine
    this.#options = options
    // The Daemonizer changes the working directory on the way.
    this.#files = (options.files ?? []).map(path => resolve(path))
    this.#readable = (options.readable ?? []).map(path => resolve(path))
  }

  subscribe (): this {
    if (this.#subscriptions.length > 0) return this
    const name = 'DropPrivileges'
    this.#subscriptions = [
      this.#engine.subscribe('start', () => this.#preflight(), { priority: 5, name }),
      this.#engine.subscribe('start', () => this.#giveFiles(), { priority: 76, name }),
      this.#engine.subscribe('start', () => this.#drop(), { priority: 77, name }),
    ]
    return this
  }

  /** Drops nothing any more; what has been dropped cannot be had back. */
  unsubscribe (): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    this.#subscriptions = []
  }

  #preflight (): void {
    assertSupported()
    const account = resolveAccount(this.#options.user, this.#options.group)
    this.#account = account
    this.#target = isAlready(account) ? undefined : { ...account, groups: wantedGroups(account) }
    assertReadable(this.#readable, account, this.#target)
  }

  #giveFiles (): void {
    if (this.#target === undefined) return
    const account = this.#account as Account
    for (const path of this.#files) giveFile(path, account)
    this.#engine.server.giveSocketsTo(account.uid, account.gid)
  }

  #drop (): void {
    const account = this.#account as Account
    const target = this.#target
    this.#target = undefined
    if (target !== undefined) become(account, target)
    const regained = regainedPrivileges(account)
    if (regained.length > 0) throw new NotDropped(describeAccount(account), regained.join('; '))
    if (this.#options.umask !== undefined) process.umask(this.#options.umask)
    if (target === undefined) return this.#engine.log(`Running as ${describeAccount(account)} already, no privileges to drop`)
    setEnvironment(account)
    this.#engine.log(`Dropped privileges to ${describeAccount(account)}, groups ${target.groups.join(' ')}`)
    dropped.publish({ engine: this.#engine, uid: target.uid, gid: target.gid, groups: target.groups } satisfies PrivilegesDropped)
  }
}

type PosixProcess = Required<Pick<NodeJS.Process, 'getuid' | 'geteuid' | 'getgid' | 'getegid' | 'setgroups' | 'setgid' | 'setuid'>> & {
  /** Not in @types/node. */
  initgroups (user: string, extraGroup: number): void
}

/** Only after {@link assertSupported}. */
const posix = process as unknown as PosixProcess

function assertSupported (): void {
  if (typeof process.setuid !== 'function') {
    throw new DropUnsupported(`Node on ${process.platform} has no setuid(); leave the option "user" out here, and have the service manager run the service as that user`)
  }
  if (!process.getBuiltinModule('node:worker_threads').isMainThread) throw new DropUnsupported('a worker thread cannot change the user of its process; start the engine in the main thread')
}

function isAlready ({ uid, gid }: Account): boolean {
  return posix.getuid() === uid && posix.geteuid() === uid && posix.getgid() === gid && posix.getegid() === gid
}

/**
 * The groups that the system gives to the account, told by itself and taken back at once. That needs all that the drop
 * needs, so what stands in its way shows before anything is touched.
 */
function wantedGroups (account: Account): number[] {
  const { name, gid } = account
  if (posix.geteuid() !== 0) throw new NotRoot(describeAccount(account), posix.geteuid(), posix.getegid())
  if (!existsSync('/proc/self/task')) throw new DropUnsupported('the proof that every thread has changed needs /proc as Linux has it, which is not mounted here')
  try {
    const before = supplementaryGroups()
    setGroups(name, gid)
    const groups = supplementaryGroups()
    posix.setgroups(before)
    if (!groups.includes(gid)) throw new Error(`the system gave it the groups ${groups.join(' ')} instead of ${gid}`)
    return groups
  } catch (cause) {
    throw new DropUnsupported(explain(cause as NodeJS.ErrnoException), { cause })
  }
}

function setGroups (name: string | undefined, gid: number): void {
  if (name === undefined) posix.setgroups([gid])
  else posix.initgroups(name, gid)
}

/** @see https://nvd.nist.gov/vuln/detail/CVE-2024-22017 */
function explain ({ code, message }: NodeJS.ErrnoException): string {
  if (message.includes('io_uring')) return `Node ${process.version} refuses it while UV_USE_IO_URING is set (CVE-2024-22017); unset UV_USE_IO_URING, or use Node 22 or later`
  if (code === 'EPERM') return `root may not set groups here (${message}); the process needs CAP_SETGID and CAP_SETUID: give both to the container or unit`
  return message
}

/**
 * Becomes the user in a process that ends at once. Here the other threads of the process would be that user for a
 * moment too: a log file that one of them opens just then would be refused.
 */
const READABLE_CHECK = `
const { accessSync, constants: { R_OK, X_OK }, readFileSync, statSync } = require('node:fs')
const { paths, target } = JSON.parse(readFileSync(0, 'utf8'))
if (target) {
  process.setgroups(target.groups)
  process.setgid(target.gid)
  process.setuid(target.uid)
}
console.log(JSON.stringify(paths.flatMap(path => {
  try {
    accessSync(path, statSync(path).isDirectory() ? R_OK | X_OK : R_OK)
    return []
  } catch (error) {
    return [path + ' (' + error.code + ')']
  }
})))`

/** ms. It ends within 100, and within a second on a machine under load. */
const READABLE_CHECK_TIMEOUT = 20_000

function assertReadable (paths: readonly string[], account: Account, target: Identity | undefined): void {
  if (paths.length === 0) return
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, signal, stdout, stderr, error } = spawnSync(process.execPath, ['--input-type=commonjs', '-e', READABLE_CHECK], {
    input: JSON.stringify({ paths, target }),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: READABLE_CHECK_TIMEOUT,
  })
  if (error !== undefined || status !== 0) {
    throw new DropUnsupported(`the check of what ${describeAccount(account)} can read failed: ${error?.message ?? (stderr.trim() || signal)}`)
  }
  const unreadable = JSON.parse(stdout) as string[]
  if (unreadable.length > 0) throw new NotReadable(describeAccount(account), unreadable.join(', '))
}

/**
 * Through an open descriptor, so that the file that was looked at is the one that is given away. Whoever may write to
 * its directory can put a link to a foreign file in its place: symbolic and hard links are refused.
 */
function giveFile (path: string, account: Account): void {
  const refused = (why: string, cause?: unknown): Error => new FileRefused(path, describeAccount(account), why, { cause })
  let fd
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw refused(code === 'ELOOP' ? 'it is a symbolic link; name the file itself' : message, error)
  }
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw refused('it is not a regular file')
    if (stats.nlink !== 1) throw refused(`it has ${stats.nlink} hard links, and the others may be somebody else's`)
    if (holdsOwnPid(fd)) throw refused('it is the PID file: its owner could have root signal any process by it')
    fchownSync(fd, account.uid, account.gid)
  } finally {
    closeSync(fd)
  }
}

function holdsOwnPid (fd: number): boolean {
  const start = Buffer.alloc(32)
  const length = readSync(fd, start, 0, start.length, 0)
  return start.toString('latin1', 0, length).trim() === String(process.pid)
}

function become (account: Account, { uid, gid, groups }: Identity): void {
  try {
    posix.setgroups([...groups])
    posix.setgid(gid)
    posix.setuid(uid)
  } catch (cause) {
    throw new NotDropped(describeAccount(account), (cause as Error).message, { cause })
  }
  const faults = threadFaults(readThreadStatuses(), { uid, gid, groups })
  if (faults.length > 0) throw new NotDropped(describeAccount(account), faults.join('; '))
}

function setEnvironment ({ name, home }: Account): void {
  process.env.HOME = home
  for (const variable of ['USER', 'LOGNAME']) {
    if (name === undefined) Reflect.deleteProperty(process.env, variable)
    else process.env[variable] = name
  }
}
