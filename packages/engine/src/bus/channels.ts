export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface LogEntry {
  message: string
  level: LogLevel
  error?: unknown
  /** A stable name of the event. */
  code?: string
}

/**
 * The channels of a bus and the arguments of their listeners. Extend it by declaration merging to have your own
 * channel typed; any other channel works too, untyped.
 *
 * @example
 * declare module '@fastkeep/engine' {
 *   interface Channels { 'user-joined': [name: string] }
 * }
 */
export interface Channels {
  /** Once, before the first STARTING: nothing with a side effect may come before it. */
  launch: []
  start: []
  /** In state STARTED: tells whoever waits for it. */
  ready: []
  /** On entering STOPPING, before `stop`. */
  drain: []
  stop: []
  exit: []
  /** The same process reads again what it can: certificates, keys, configuration, log files. */
  graceful: []
  log: [entry: LogEntry]
  /** Every tick of {@link Engine.block}, only while somebody listens. */
  main: []
}
