/** What the thread of a LoopWatch is given. */
export interface LoopWatchData {
  /** Two 64-bit numbers, {@link BEAT} and {@link IS_DEBUGGED}. */
  readonly memory: SharedArrayBuffer
  readonly pid: number
  /** ms. */
  readonly blockedAfter: number
  /** ms between two beats, and between two looks. */
  readonly interval: number
}

/** Where the time of the last turn stands, in ns of `process.hrtime`. */
export const BEAT = 0
/** Where it stands whether an inspector is open, 0 or 1. */
export const IS_DEBUGGED = 1

/** What the thread says of a block. */
export interface BlockedSample {
  /** The last turn before it. */
  readonly beat: bigint
  readonly blockedFor: number
  readonly stack: readonly string[]
  readonly namedAfter: number
}
