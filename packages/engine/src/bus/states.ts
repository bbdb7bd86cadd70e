/**
 * The states of a bus, in the order of a life:
 *
 *     STOPPED -> STARTING -> STARTED -> STOPPING -> STOPPED -> EXITING -> EXITED
 *
 * A start that fails or is called off goes STARTING -> STOPPING -> STOPPED. EXITED is final.
 */
export type State = 'STOPPED' | 'STARTING' | 'STARTED' | 'STOPPING' | 'EXITING' | 'EXITED'

/** Which states each state may be left for. */
export const TRANSITIONS: Readonly<Record<State, readonly State[]>> = {
  STOPPED: ['STARTING', 'EXITING'],
  STARTING: ['STARTED', 'STOPPING'],
  STARTED: ['STOPPING'],
  STOPPING: ['STOPPED'],
  EXITING: ['EXITED'],
  EXITED: [],
}
