import createError, { type FastifyErrorConstructor } from '@fastify/error'
import { ExitCode } from './exit-codes.js'

/** A transition that the present state does not allow. */
export const IllegalTransition = engineError('ILLEGAL_TRANSITION', 'cannot %s: the bus is %s')

/** A listener of a transition asked for a transition and would wait for itself. */
export const ReentrantTransition = engineError('REENTRANT_TRANSITION',
  '%s() was called from inside the listener "%s" of "%s", or from a hook of the app that it runs, which the bus is waiting for: it would wait for itself for ever; throw to fail the transition, or ask for it after the listener has ended')

/** The start was called off by stop() or exit() before it was done. */
export const StartCancelled = engineError('START_CANCELLED', 'the start was called off by %s()')

/** What was to be subscribed is not a function. */
export const ListenerInvalid = engineError('LISTENER_INVALID', 'a listener of "%s" must be a function, got %s', ExitCode.CONFIG)

/** An app that was closed, or one that comes too late, cannot be served. */
export const AppRefused = engineError('APP_REFUSED', '%s', ExitCode.CONFIG)

/** A listener did not end within its `timeout`. */
export const ListenerTimeout = engineError('LISTENER_TIMEOUT', 'not done after %s ms')

/** `wait()` did not see the state in time. */
export const WaitTimeout = engineError('WAIT_TIMEOUT', 'the bus did not become %s within %s ms, it is %s', ExitCode.NOT_READY)

/** A signal name that this platform does not have, or that cannot be caught. */
export const UnknownSignal = engineError('SIGNAL_UNKNOWN', 'signals: %s', ExitCode.CONFIG)

/** What a signal is to do is neither a known action nor a function. */
export const SignalListenerInvalid = engineError('SIGNAL_LISTENER', 'signals: what %s does must be a function or one of %s%s', ExitCode.CONFIG)

/** Address and port are held by another socket. */
export const AddressInUse = engineError('ADDRESS_IN_USE', 'cannot listen on %s: %s', ExitCode.OS)

/** The system refused the address for any other reason. */
export const AddressRefused = engineError('ADDRESS_REFUSED', 'cannot listen on %s: %s', ExitCode.OS)

/** The sockets that the process was started with are not what the environment says of them. */
export const InheritedDescriptorsInvalid = engineError('INHERITED_DESCRIPTORS', 'inherited sockets: %s', ExitCode.CONFIG)

/** A restart in place did not come about; the present process goes on serving. */
export const RestartFailed = engineError('RESTART_FAILED', 'the restart failed, this process goes on serving: %s')

/** A worker did not come to serve; where it ends the supervisor, with its own exit code. */
export const WorkerFailed = engineError('WORKER_FAILED', '%s did not come to serve: %s')

/** A supervisor cannot work here, or not with what it was given. */
export const SupervisorRefused = engineError('SUPERVISOR_REFUSED', '%s', ExitCode.CONFIG)

/** A passphrase was needed, and there was nobody to ask. */
export const PassphraseMissing = engineError('PASSPHRASE_MISSING',
  'there is no terminal to ask for the passphrase of %s on, or none was typed; start the service from a terminal: what is typed there is kept for reloads and restarts', ExitCode.CONFIG)

/** A rolling reload did not come about. */
export const ReloadFailed = engineError('RELOAD_FAILED', 'the reload failed, %s: %s')

/** Workers were killed, or did not end cleanly. */
export const WorkersNotStopped = engineError('WORKERS_NOT_STOPPED', 'not all workers ended cleanly: %s')

/** The drain deadline passed with requests still under way; they were cut. */
export const DrainDeadlineExceeded = engineError('DRAIN_DEADLINE', '%s cut %s: %s')

/** What the app's logger still held could not be written at the end. */
export const LogLost = engineError('LOG_LOST', 'the end of the log could not be written: %s', ExitCode.OS)

/** The plugin was registered where it cannot work. */
export const RegistrationRefused = engineError('REGISTRATION_REFUSED', '%s', ExitCode.CONFIG)

/** Makes an error class of this package: `FST_KEEP_ENGINE_<WHAT>`, with the exit code of a process that ends because of it. */
export function engineError (what: string, message: string, exitCode: number = ExitCode.SOFTWARE): EngineErrorConstructor {
  const EngineError = createError(`FST_KEEP_ENGINE_${what}`, message, 500) as unknown as EngineErrorConstructor
  Object.defineProperty(EngineError.prototype, 'exitCode', { value: exitCode, configurable: true, writable: true })
  return EngineError
}

/** Arguments fill the message; an object `{ cause }` may come last. */
export interface EngineErrorConstructor extends Omit<FastifyErrorConstructor, 'new'> {
  new (...args: unknown[]): EngineError
  readonly prototype: EngineError
}

export interface EngineError extends Error {
  /** `FST_KEEP_ENGINE_...` */
  readonly code: string
  /** The exit code of a process that ends because of it; see {@link ExitCode}. */
  readonly exitCode: number
}
