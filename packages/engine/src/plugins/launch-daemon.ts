import { func, integer, optionChecker, string, type Rule } from '@fastkeep/options'
import { predecessor } from '../supervisor/predecessor.js'
import { daemonState } from './daemon-channel.js'
import { launch } from './daemon-launcher.js'

export interface DaemonOptions {
  /** File that standard input reads. Default `/dev/null`. */
  stdin?: string
  /** File that standard output is appended to, created with mode 0640. Default `/dev/null`. */
  stdout?: string
  /** File that standard error is appended to, created with mode 0640. Default `/dev/null`. */
  stderr?: string
  /** The daemon's working directory, entered at `start` 65. Default: that of the launcher. */
  cwd?: string
  /** The daemon's umask, from its beginning. Default 0o027. */
  umask?: number
  /** ms within which the daemon must be ready. Default 60,000. */
  timeout?: number
  /** Called in the launcher with the daemon's pid once it is ready. Default: prints the pid as one line on standard output. */
  onLaunched?: (pid: number) => unknown
}

const LONGEST_TIMER = 2 ** 31 - 1

export const DAEMON_RULES = {
  stdin: string('a path'),
  stdout: string('a path'),
  stderr: string('a path'),
  cwd: string('a path'),
  umask: integer(0, 0o777, 'permission bits'),
  timeout: integer(1, LONGEST_TIMER, 'ms'),
  onLaunched: func,
} satisfies Record<string, Rule>

const DEFAULTS = {
  stdin: '/dev/null',
  stdout: '/dev/null',
  stderr: '/dev/null',
  umask: 0o027,
  timeout: 60_000,
  onLaunched: (pid: number): unknown => process.stdout.write(`${pid}\n`),
}

const checkOptions = optionChecker('engine')

/**
 * Runs the program of this process anew as a daemon: with the same options of Node (but inspector, watch and test
 * flags), arguments and environment, in a session of its own that it does not lead. Resolves in the daemon only, at
 * once. In the launcher it never resolves: that process waits until the daemon is ready and exits with
 *
 * - 0 when the daemon is ready
 * - the daemon's own exit code, or 128 and the signal's number, when it ended before; 70 if that code was 0
 * - 75 past the deadline; the daemon and its children have ended then
 * - 128 and the number of SIGHUP, SIGINT, SIGQUIT or SIGTERM, whichever came; the daemon has ended then, too
 *
 * What the daemon wrote to standard error, and its uncaught error, stand on the launcher's standard error as well. If
 * the launcher is killed before the daemon is ready, the daemon and its children get SIGTERM, 3 s later SIGKILL.
 *
 * @throws `FST_KEEP_ENGINE_DAEMON_UNSUPPORTED` on Windows, in a worker thread, for a program from standard input, -e or -p
 * @throws `FST_KEEP_ENGINE_DAEMON_TOO_LATE` if this process has sockets or worker threads already
 * @throws `FST_KEEP_ENGINE_DAEMON_STREAM_REFUSED`, `FST_KEEP_ENGINE_DAEMON_LAUNCH_FAILED`
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @see https://man7.org/linux/man-pages/man7/daemon.7.html
 * @example
 * // Before whatever else the program imports: the launcher needs none of it.
 * import { launchDaemon } from '@fastkeep/engine/daemon'
 * await launchDaemon({ stderr: '/var/log/service.log' })
 * await import('./service.js')
 */
export async function launchDaemon (options: DaemonOptions = {}): Promise<void> {
  checkOptions(options, DAEMON_RULES)
  if (isDaemon()) return
  daemonState.launch ??= launch({ ...DEFAULTS, ...given(options) }).finally(() => { daemonState.launch = undefined })
  await daemonState.launch
}

/** A process that succeeds another one in a restart is in its place, and that was a daemon already. */
function isDaemon (): boolean {
  return daemonState.channel !== undefined || predecessor !== undefined
}

function given (options: DaemonOptions): DaemonOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
