import { engineError } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** Another process answers on the control socket. */
export const ControlSocketHeld = engineError('CONTROL_SOCKET_HELD',
  'control socket %s: another process answers there; stop it, or give this one a control socket of its own', ExitCode.CANNOT_CREATE)

/** The control socket cannot be made. */
export const ControlSocketUnusable = engineError('CONTROL_SOCKET_UNUSABLE', 'control socket %s cannot be made: %s', ExitCode.CANNOT_CREATE)

/** What a client sent is no request, or has wrong arguments. */
export const ControlRequestInvalid = engineError('CONTROL_REQUEST_INVALID', 'control request: %s', ExitCode.USAGE)

/** The service has no such command. */
export const ControlCommandUnknown = engineError('CONTROL_COMMAND_UNKNOWN', 'there is no control command "%s"%s', ExitCode.USAGE)

/** Too many clients talk to the control socket. */
export const ControlBusy = engineError('CONTROL_BUSY', 'the control socket has %s clients already; try again', ExitCode.NOT_READY)

/** A successor serves: it is the one to ask. */
export const ControlHandedOver = engineError('CONTROL_HANDED_OVER', 'a successor has taken over from process %s; ask again', ExitCode.NOT_READY)

/** The command needs workers. */
export const NotSupervised = engineError('CONTROL_NOT_SUPERVISED', 'this service is one process and has no workers to scale; start it with the option "workers"', ExitCode.USAGE)

/** Nobody answers on the control socket. */
export const ControlUnavailable = engineError('CONTROL_UNAVAILABLE', 'no running instance answers on the control socket %s: %s', ExitCode.UNAVAILABLE)

/** This user may not use the control socket. */
export const ControlForbidden = engineError('CONTROL_FORBIDDEN', 'no permission for the control socket %s; it belongs to the user that started the service', ExitCode.NO_PERMISSION)

/** The service was silent for too long. */
export const ControlTimeout = engineError('CONTROL_TIMEOUT', 'the service has said nothing on the control socket %s for %s ms', ExitCode.NOT_READY)

/** The service ended, or answered with something else than the protocol's lines. */
export const ControlBroken = engineError('CONTROL_BROKEN', 'control socket %s: %s', ExitCode.SOFTWARE)

/** The service refused the command, or failed at it: code, message and exit code are the service's own. */
export class ControlRefused extends Error {
  override readonly name = 'ControlRefused'
  readonly code: string
  readonly exitCode: number

  constructor ({ code, message, exitCode }: { code: string, message: string, exitCode: number }) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}
