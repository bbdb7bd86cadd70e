import { readFileSync } from 'node:fs'
import { GroupUnknown, TargetIsRoot, UserLookupFailed, UserUnknown } from './drop-privileges-errors.js'

/** A user and the group that it runs with. */
export interface Account {
  /** `undefined` for a number that the user database does not have. */
  readonly name: string | undefined
  readonly uid: number
  readonly gid: number
  readonly home: string
}

type Database = 'passwd' | 'group'

const NAME = 0
const ID = 2
const GROUP = 3
const HOME = 5

/** What getent(1) says for a key that the database does not have. */
const NOT_FOUND = 2

/** ms for a directory server to answer. */
const LOOKUP_TIMEOUT = 10_000

/**
 * Finds a user and a group, each by name or number; digits in a string are a name first and then a number, as in
 * chown(1). Looked up in /etc/passwd and /etc/group, and where these do not have it with getent(1), which asks what
 * /etc/nsswitch.conf names (LDAP, SSSD, systemd).
 *
 * A number that no user has is a user all the same. Its group is the one of the same number, unless that is a group of
 * others: then it must be named.
 *
 * @param group default: the user's own
 * @throws `FST_KEEP_ENGINE_PRIVILEGES_USER_UNKNOWN`, `..._GROUP_UNKNOWN`, `..._TARGET_ROOT`, `..._LOOKUP`
 * @see https://man7.org/linux/man-pages/man5/passwd.5.html
 * @example resolveAccount('www-data') // { name: 'www-data', uid: 33, gid: 33, home: '/var/www' }
 */
export function resolveAccount (user: string | number, group?: string | number): Account {
  const entry = lookUp('passwd', user)
  const uid = entry === undefined ? numberIn(user) : Number(entry[ID])
  if (uid === undefined) {
    throw new UserUnknown(`there is no user ${shown(user)}: neither /etc/passwd nor "getent passwd" has it; create it or correct the option "user"`)
  }
  if (uid === 0) throw new TargetIsRoot(shown(user))
  const gid = group === undefined ? groupOfUser(uid, entry) : resolveGroup(group)
  return { name: entry?.[NAME], uid, gid, home: entry?.[HOME] || '/' }
}

/** `www-data (uid 33, gid 33)` */
export function describeAccount ({ name, uid, gid }: Account): string {
  return `${name ?? 'a user without a name'} (uid ${uid}, gid ${gid})`
}

function groupOfUser (uid: number, entry: readonly string[] | undefined): number {
  if (entry !== undefined) return Number(entry[GROUP])
  const owner = lookUp('group', uid)?.[NAME]
  if (owner === undefined) return uid
  throw new UserUnknown(`no user has the number ${uid}, and the group ${uid} is "${owner}", which need not be its own: name the group by the option "group"`)
}

function resolveGroup (group: string | number): number {
  const entry = lookUp('group', group)
  const gid = entry === undefined ? numberIn(group) : Number(entry[ID])
  if (gid === undefined) throw new GroupUnknown(shown(group))
  return gid
}

function lookUp (database: Database, key: string | number): readonly string[] | undefined {
  return findEntry(readDatabase(database), key) ?? findEntry(askSystem(database, key), key)
}

/** The fields of the line of /etc/passwd or /etc/group with that name, or that number. */
export function findEntry (text: string, key: string | number): readonly string[] | undefined {
  const entries = text.split('\n').map(line => line.split(':')).filter(fields => numberIn(fields[ID] ?? '') !== undefined)
  const id = numberIn(key)
  return entries.find(fields => fields[NAME] === key) ?? entries.find(fields => id !== undefined && Number(fields[ID]) === id)
}

/** A user or group number; the highest one means "none" to the system. */
function numberIn (key: string | number): number | undefined {
  const id = typeof key === 'number' || /^\d+$/.test(key) ? Number(key) : undefined
  return id !== undefined && id < 0xFFFF_FFFF ? id : undefined
}

function readDatabase (database: Database): string {
  try {
    return readFileSync(`/etc/${database}`, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function askSystem (database: Database, key: string | number): string {
  // Such a name stands in no database, and must not be read as an option or as two keys.
  if (/^-|[:\0\n]/.test(String(key))) return ''
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { error, status, signal, stdout } = spawnSync('getent', [database, String(key)], { encoding: 'utf8', timeout: LOOKUP_TIMEOUT })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' || status === NOT_FOUND) return ''
  if (status !== 0) throw new UserLookupFailed(database, key, error?.message ?? `it ended with ${status ?? signal}`)
  return stdout
}

function shown (key: string | number): string {
  return typeof key === 'number' ? String(key) : JSON.stringify(key)
}
