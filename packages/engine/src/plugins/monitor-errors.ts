import { engineError } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** One run of a monitor failed; what it threw is the `cause`. */
export const MonitorFailed = engineError('MONITOR_FAILED', 'the monitor "%s" failed: %s')

/** The autoreloader was asked for where it must not run. */
export const AutoreloadRefused = engineError('AUTORELOAD_REFUSED', 'no autoreload: %s', ExitCode.CONFIG)

/** A directory with source files could not be watched. */
export const AutoreloadBlind = engineError('AUTORELOAD_BLIND', 'changes in "%s" are not seen: %s')

/** The reload after a change failed; what it failed with is the `cause`. */
export const AutoreloadFailed = engineError('AUTORELOAD_FAILED', 'the reload failed, the process that runs goes on: %s')

/** An exception that nobody caught; it is the `cause`. */
export const UncaughtException = engineError('UNCAUGHT_EXCEPTION', 'uncaught exception: %s')

/** A promise that rejected with nobody to handle it; its reason is the `cause`. */
export const UnhandledRejection = engineError('UNHANDLED_REJECTION', 'unhandled rejection: %s')
