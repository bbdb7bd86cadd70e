import { readFileSync } from 'node:fs'

/** What is known of a process that runs. */
export interface RunningProcess {
  /** When it started, in ms since the epoch, at most 1 s too early; `undefined` where the system does not tell. */
  readonly startedAt: number | undefined
}

/** Clock ticks per second in which Linux tells times: USER_HZ, 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

/** Fields of /proc/<pid>/stat counted from the one after the name: state is number 3 there, starttime number 22. */
const STATE = 0
const START_TIME = 19

const ENDED = new Set(['Z', 'X', 'x'])

/**
 * The process that has a number now; `undefined` if none has. A zombie has ended: it only waits to be reaped.
 *
 * @see proc_pid_stat(5), ps(1)
 * @example runningProcess(process.pid)?.startedAt // 1794000000000
 */
export function runningProcess (pid: number): RunningProcess | undefined {
  if (!exists(pid)) return undefined
  if (process.platform === 'linux') return fromProc(pid)
  return { startedAt: startTimeByPs(pid) }
}

/** By the system's `ps`, which all but Windows have. */
export function startTimeByPs (pid: number): number | undefined {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  })
  const startedAt = Date.parse(`${String(stdout).trim()} UTC`)
  return Number.isNaN(startedAt) ? undefined : startedAt
}

function exists (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there and belongs to another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function fromProc (pid: number): RunningProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name may contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (ENDED.has(fields[STATE] as string)) return undefined
    const bootTime = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1]
    if (bootTime === undefined) return { startedAt: undefined }
    return { startedAt: Number(bootTime) * 1000 + Number(fields[START_TIME]) * 1000 / TICKS_PER_SECOND }
  } catch {
    // Mounted with hidepid, /proc shows only one's own processes.
    return { startedAt: undefined }
  }
}
