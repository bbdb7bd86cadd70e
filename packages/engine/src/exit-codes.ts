/**
 * What a process says when it ends, after sysexits.h. A process that the n-th signal killed says 128 + n.
 *
 * @see https://man.openbsd.org/sysexits
 */
export const ExitCode = {
  /** Stopped cleanly, by a signal or on request. */
  OK: 0,
  /** The command was called wrongly. */
  USAGE: 64,
  /** No running instance to talk to. */
  UNAVAILABLE: 69,
  /** A start, stop or exit listener failed, or the drain deadline cut requests. */
  SOFTWARE: 70,
  /** The system refused: port taken, no descriptors left. */
  OS: 71,
  /** The PID file is held by another instance or cannot be made. */
  CANNOT_CREATE: 73,
  /** Not ready in time. */
  NOT_READY: 75,
  /** Privileges could not be had or dropped. */
  NO_PERMISSION: 77,
  /** The configuration is wrong. */
  CONFIG: 78,
} as const

/** The exit code that an error asks for by its `exitCode`, else {@link ExitCode.SOFTWARE}. */
export function exitCodeOf (error: unknown): number {
  const code = (error as { exitCode?: unknown } | null | undefined)?.exitCode
  return typeof code === 'number' && Number.isInteger(code) && code > 0 && code < 256 ? code : ExitCode.SOFTWARE
}

/** What an end of another process says of a change that failed by it: its code if that is one of ours, else {@link ExitCode.SOFTWARE}. */
export function exitCodeAfter (error: unknown): number {
  const code = exitCodeOf(error)
  return (Object.values(ExitCode) as number[]).includes(code) ? code : ExitCode.SOFTWARE
}
