import { engineError } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** This program or this platform cannot be run anew as a daemon. */
export const DaemonUnsupported = engineError('DAEMON_UNSUPPORTED', 'cannot daemonize: %s', ExitCode.CONFIG)

/** Something that a daemon cannot take over from its launcher exists already: servers, connections, worker threads. */
export const DaemonTooLate = engineError('DAEMON_TOO_LATE',
  'cannot daemonize: this process has %s already, and the daemon, which is a new process, would not have it; daemonize before anything else', ExitCode.CONFIG)

/** The file for standard input, output or error cannot be opened. */
export const DaemonStreamRefused = engineError('DAEMON_STREAM_REFUSED', 'cannot open "%s" as the daemon\'s %s: %s', ExitCode.CANNOT_CREATE)

/** The daemon's working directory cannot be entered. */
export const DaemonDirectoryRefused = engineError('DAEMON_DIRECTORY_REFUSED', 'the daemon cannot enter its working directory "%s": %s', ExitCode.CONFIG)

/** The system did not start the daemon. */
export const DaemonLaunchFailed = engineError('DAEMON_LAUNCH_FAILED', 'cannot start the daemon through /bin/sh: %s', ExitCode.OS)

/** The launcher ended before the daemon was ready; nobody would know that the daemon runs. */
export const LauncherGone = engineError('DAEMON_LAUNCHER_GONE', 'the process that launched this daemon ended before the daemon was ready', ExitCode.NOT_READY)
