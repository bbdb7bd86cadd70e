import { readdirSync, readFileSync } from 'node:fs'

/** What a process that has dropped its privileges is, in full. */
export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups in the system's order, as {@link supplementaryGroups} gives them. */
  readonly groups: readonly number[]
}

const NO_CAPABILITIES = '0'.repeat(16)

/**
 * What each thread's status file must say: real, effective, saved and file system id all alike, and no capability.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
 */
const EXPECTED: Readonly<Record<string, (identity: Identity) => string>> = {
  Uid: ({ uid }) => fourTimes(uid),
  Gid: ({ gid }) => fourTimes(gid),
  Groups: ({ groups }) => groups.join(' '),
  CapPrm: () => NO_CAPABILITIES,
  CapEff: () => NO_CAPABILITIES,
  CapAmb: () => NO_CAPABILITIES,
}

/** The calls that a process with any way back to root could make. */
const WAYS_BACK = ['setuid', 'seteuid', 'setgid', 'setegid'] as const

/**
 * What is wrong with the threads of a process, given the text of each one's /proc/PID/task/TID/status; a field that is
 * missing is wrong.
 *
 * @returns one sentence for each field; empty when every thread is what it should be
 * @example threadFaults(statuses, { uid: 33, gid: 33, groups: [33] }) // ['Gid is "0 0 0 0" in 1 of 11 threads, not "33 33 33 33"']
 */
export function threadFaults (statuses: readonly string[], identity: Identity): string[] {
  if (statuses.length === 0) return ['the system shows no thread of the process']
  return Object.entries(EXPECTED).flatMap(([field, expect]) => {
    const expected = expect(identity)
    const wrong = statuses.map(status => fieldOf(status, field)).filter(value => value !== expected)
    return wrong.length === 0 ? [] : [`${field} is "${wrong[0] ?? 'missing'}" in ${wrong.length} of ${statuses.length} threads, not "${expected}"`]
  })
}

/** The status of every thread of this process that has not ended meanwhile. */
export function readThreadStatuses (): string[] {
  return readdirSync('/proc/self/task').flatMap(thread => {
    try {
      return [readFileSync(`/proc/self/task/${thread}/status`, 'utf8')]
    } catch (error) {
      if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
      throw error
    }
  })
}

/**
 * The supplementary groups of this process. Not `process.getgroups()`: that adds the effective group, which would make
 * root's group one of the wanted.
 */
export function supplementaryGroups (): number[] {
  const groups = fieldOf(readFileSync('/proc/self/status', 'utf8'), 'Groups')
  if (groups === undefined) throw new Error('/proc/self/status does not name the groups')
  return groups === '' ? [] : groups.split(' ').map(Number)
}

/**
 * Tries to become root again.
 *
 * @returns what succeeded, one sentence each; empty when the system refused everything
 */
export function regainedPrivileges ({ gid }: Pick<Identity, 'gid'>): string[] {
  return WAYS_BACK.flatMap(call => {
    // To a process whose own group is 0 the group calls give nothing that it does not have.
    if (gid === 0 && call.endsWith('gid')) return []
    try {
      process[call]?.(0)
      return [`${call}(0) succeeded afterwards`]
    } catch {
      return []
    }
  })
}

function fieldOf (status: string, field: string): string | undefined {
  return new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1]?.trim().replaceAll(/\s+/g, ' ')
}

function fourTimes (id: number): string {
  return Array(4).fill(id).join(' ')
}
