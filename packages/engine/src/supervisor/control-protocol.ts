/*
 * The control socket speaks lines of JSON. A client sends one request, gets any number of progress lines, then one
 * answer. The service closes the connection after the answer; after that of `stop` its end does.
 */

/** @example { command: 'scale', workers: 4 } */
export interface ControlRequest {
  readonly command: string
  readonly [argument: string]: unknown
}

/** What a command has come to. At least one line comes every {@link HEARTBEAT} ms while a command is under way. */
export interface ControlProgress {
  /** Of the bus. */
  readonly state: string
  /** Open connections. */
  readonly connections: number
  /** Those that were open when the command came. */
  readonly total: number
  /** ms until a drain cuts what is left; only while draining. */
  readonly left?: number
  /** What the bus has logged, e.g. that a worker was replaced. */
  readonly message?: string
}

export type ControlAnswer =
  | { readonly ok: true, readonly result: unknown }
  | { readonly ok: false, readonly code: string, readonly message: string, readonly exitCode: number }

/** ms between two progress lines of a command that takes its time. */
export const HEARTBEAT = 1_000

/** Bytes of a request. */
export const LONGEST_REQUEST = 4_096

/** Bytes of all lines that a service may send. */
export const LONGEST_CONVERSATION = 8_388_608

/** Where the control socket of a service is unless the option `controlSocket` says so: beside its PID file. */
export function defaultControlSocket (pidFile: string | undefined): string | undefined {
  // Windows has no such sockets in its file system.
  return pidFile === undefined || process.platform === 'win32' ? undefined : `${pidFile}.sock`
}
