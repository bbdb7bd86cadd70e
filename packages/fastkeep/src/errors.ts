import createError from '@fastify/error'
import { ExitCode, type EngineError } from '@fastkeep/engine'

/** The command line is wrong. */
export const UsageError = commandError('USAGE', '%s', ExitCode.USAGE)

/** No running instance is there to talk to. */
export const NotRunning = commandError('NOT_RUNNING', '%s', ExitCode.UNAVAILABLE)

/** The process was asked to end and has not. */
export const StillRunning = commandError('STILL_RUNNING', '%s', ExitCode.NOT_READY)

/** What the app's module exports cannot be served. */
export const AppRefused = commandError('APP_REFUSED', '%s: %s', ExitCode.CONFIG)

/** The app's module, or its factory, failed: with the exit code that its error names, e.g. 78 for a wrong option. */
export function appFailed (path: string, cause: unknown): Error {
  const { message = String(cause), exitCode } = (cause ?? {}) as Partial<EngineError>
  // Node keeps the place of such an error to itself, and prints it where nobody catches it.
  const where = cause instanceof SyntaxError ? `; "node ${path}" shows the place` : ''
  return Object.assign(new AppFailed(path, message, where, { cause }), typeof exitCode === 'number' ? { exitCode } : {})
}

const AppFailed = commandError('APP_FAILED', 'the app %s failed while it was loaded: %s%s', ExitCode.SOFTWARE)

/** The log file cannot be opened. */
export const LogRefused = commandError('LOG_REFUSED', 'the log %s cannot be opened: %s', ExitCode.CANNOT_CREATE)

/** What was to be imported before the app is not there, or throws. */
export const ImportFailed = commandError('IMPORT_FAILED', '--import %s: %s; it is looked for from the working directory, as a package that is installed there or as a path that begins with ./', ExitCode.CONFIG)

/** Others could have root run what they like. */
export const PathNotTrusted = commandError('PATH_NOT_TRUSTED',
  'this process is root, and %s; have it belong to root and take that permission away (chmod go-w), or start the service as an ordinary user', ExitCode.CONFIG)

/** A configuration written in code is not run as root. */
export const ConfigNeedsUser = commandError('CONFIG_NEEDS_USER',
  'this process is root, and the configuration %s is code, which is not run as root: name the user to run it as by --user or FASTKEEP_USER, or write it as JSON', ExitCode.CONFIG)

/** A configuration written in code contains something that does not go from one process to another. */
export const ConfigNotPlain = commandError('CONFIG_NOT_PLAIN',
  'the configuration %s cannot be read as %s: %s', ExitCode.CONFIG)

interface CommandErrorConstructor {
  new (...args: unknown[]): EngineError
}

function commandError (what: string, message: string, exitCode: number): CommandErrorConstructor {
  const CommandError = createError(`FST_KEEP_FASTKEEP_${what}`, message, 500)
  Object.defineProperty(CommandError.prototype, 'exitCode', { value: exitCode, configurable: true, writable: true })
  return CommandError as unknown as CommandErrorConstructor
}
