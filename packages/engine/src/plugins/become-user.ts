import { existsSync } from 'node:fs'
import { DropUnsupported, NotDropped, NotRoot } from './drop-privileges-errors.js'
import { readThreadStatuses, regainedPrivileges, supplementaryGroups, threadFaults, type Identity } from './privileges-check.js'
import { describeAccount, resolveAccount, type Account } from './users.js'

/** Whom a process is to become. */
export interface Target {
  readonly account: Account
  /** `undefined` if the process is that already. */
  readonly identity: Identity | undefined
}

/**
 * Finds user and group, and whether this process can become them; nothing has been changed when that fails.
 *
 * @throws `FST_KEEP_ENGINE_PRIVILEGES_...`
 */
export function resolveTarget (user: string | number, group?: string | number): Target {
  assertSupported()
  const account = resolveAccount(user, group)
  return { account, identity: isAlready(account) ? undefined : { uid: account.uid, gid: account.gid, groups: wantedGroups(account) } }
}

/**
 * Becomes the user for good, and proves it: every thread has changed, no capability is left, root cannot be regained.
 * HOME, USER and LOGNAME follow.
 *
 * @throws `FST_KEEP_ENGINE_PRIVILEGES_NOT_DROPPED`
 */
export function becomeTarget ({ account, identity }: Target): void {
  if (identity !== undefined) become(account, identity)
  const regained = regainedPrivileges(account)
  if (regained.length > 0) throw new NotDropped(describeAccount(account), regained.join('; '))
  if (identity !== undefined) setEnvironment(account)
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
