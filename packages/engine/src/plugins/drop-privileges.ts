import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { closeSync, constants, fchownSync, fstatSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { integer, optionChecker, type Rule } from '@fastkeep/options'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { becomeTarget, resolveTarget, type Target } from './become-user.js'
import { DropUnsupported, FileRefused, NotReadable } from './drop-privileges-errors.js'
import type { Identity } from './privileges-check.js'
import { describeAccount, type Account } from './users.js'

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

export const userOrGroup: Rule = {
  expected: 'a name that is not empty or a number',
  accepts: value => typeof value === 'string' ? value !== '' : integer(0, 0xFFFF_FFFE, 'ids').accepts(value),
}

const paths: Rule = {
  expected: 'an array of paths',
  accepts: value => Array.isArray(value) && value.every(path => typeof path === 'string' && path !== ''),
}

export const umask: Rule = { expected: 'a number from 0 to 0o777', accepts: integer(0, 0o777, 'bits').accepts }

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
  readonly #unit: Unit<'preflight' | 'files' | 'drop'>
  #target: Target | undefined

  constructor (engine: Engine, options: DropPrivilegesOptions) {
    // The check takes `undefined` for an option that was left out, which `user` must not be.
    checkOptions({ ...options, user: options.user ?? null }, RULES)
    this.#options = options
    this.#unit = new Unit(engine, 'DropPrivileges', {
      preflight: { channel: 'start', priority: 5, run: () => this.#preflight() },
      files: { channel: 'start', priority: 76, run: () => this.#giveFiles() },
      drop: { channel: 'start', priority: 77, run: () => this.#drop() },
    })
    this.#engine = engine
    // The Daemonizer changes the working directory on the way.
    this.#files = (options.files ?? []).map(path => resolve(path))
    this.#readable = (options.readable ?? []).map(path => resolve(path))
  }

  subscribe (priorities?: Priorities<'preflight' | 'files' | 'drop'>): this {
    this.#unit.subscribe(priorities)
    return this
  }

  /** Drops nothing any more; what has been dropped cannot be had back. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
  }

  #preflight (): void {
    this.#target = resolveTarget(this.#options.user, this.#options.group)
    assertReadable(this.#readable, this.#target)
  }

  #giveFiles (): void {
    const { account, identity } = this.#target as Target
    if (identity === undefined) return
    for (const path of this.#files) giveFile(path, account)
    this.#engine.server.giveSocketsTo(account.uid, account.gid)
  }

  #drop (): void {
    const target = this.#target as Target
    const { account, identity } = target
    becomeTarget(target)
    if (this.#options.umask !== undefined) process.umask(this.#options.umask)
    if (identity === undefined) return this.#engine.log(`Running as ${describeAccount(account)} already, no privileges to drop`)
    this.#engine.log(`Dropped privileges to ${describeAccount(account)}, groups ${identity.groups.join(' ')}`)
    dropped.publish({ engine: this.#engine, ...identity } satisfies PrivilegesDropped)
  }
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

export function assertReadable (paths: readonly string[], { account, identity: target }: Target): void {
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
export function giveFile (path: string, account: Account): void {
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
