/** Connections by which a worker may be above the mean whatever that is: a few short ones need no balance. */
const SLACK = 8
/** Of the mean. */
const TOLERANCE = 0.1

export interface Load {
  readonly connections: number
  readonly isPaused: boolean
}

/**
 * Which connections a worker may have before it leaves new ones to the others, and which of the workers accept again.
 * The one with the fewest is always among those that accept.
 */
export function balance<Worker extends Load> (workers: readonly Worker[]): { most: number, resumed: Worker[] } {
  const mean = workers.reduce((sum, { connections }) => sum + connections, 0) / workers.length
  const most = workers.length > 1 ? Math.ceil(mean + Math.max(SLACK, mean * TOLERANCE)) : Number.MAX_SAFE_INTEGER
  return { most, resumed: workers.filter(({ connections, isPaused }) => isPaused && connections <= mean) }
}
