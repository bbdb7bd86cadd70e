import { setTimeout as delay } from 'node:timers/promises'
import type { CutRequest } from './http1-drain.js'

/** What a drain ends: an app's connections. */
export interface Drainable {
  readonly connections: number
  beginDrain (): void
  drained (): Promise<unknown>
  closeIdle (): void
  cut (): CutRequest[]
}

/** Ends connections that are no longer HTTP, e.g. WebSockets; the signal aborts when the deadline has passed. */
export type DrainListener = (deadline: AbortSignal) => unknown

export interface DrainOptions {
  /** ms for which idle connections stay usable. */
  idleWindow: number
  /** ms after which whatever is left is cut. */
  deadline: number
}

/** ms between two looks for connections that became idle. */
const IDLE_SWEEP = 50
/** ms for sockets to close, and for drain listeners to return, after the deadline. */
const LAST_WORDS = 1_000

/**
 * Ends connections without losing a request: nothing new is accepted, what is under way is finished, connections that
 * are idle stay usable for the idle window and are closed then; what is left at the deadline is cut.
 *
 * @param hurry when it aborts, the deadline has come
 * @returns the requests that were cut
 */
export async function drain (
  targets: readonly Drainable[], listeners: readonly DrainListener[], { idleWindow, deadline }: DrainOptions, hurry: AbortSignal
): Promise<CutRequest[]> {
  const end = new AbortController()
  const deadlineTimer = setTimeout(() => end.abort(), deadline)
  const onHurry = (): void => end.abort()
  if (hurry.aborted) end.abort()
  hurry.addEventListener('abort', onHurry, { once: true })

  for (const target of targets) target.beginDrain()
  // Not in the turn of the timer: a loop that is late comes to its timers before it reads what has arrived meanwhile.
  const closeIdle = (): void => { setImmediate(() => { for (const target of targets) target.closeIdle() }) }
  let sweep: NodeJS.Timeout | undefined
  const idleTimer = setTimeout(() => {
    closeIdle()
    sweep = setInterval(closeIdle, IDLE_SWEEP)
  }, idleWindow)

  const upgraded = listeners.map(async listener => { await listener(end.signal) })
  const done = Promise.allSettled([...targets.map(target => target.drained()), ...upgraded])
  try {
    if (await isFirst(done, aborted(end.signal))) {
      await Promise.all(upgraded)
      return []
    }
    const requests = targets.flatMap(target => target.cut())
    await isFirst(done, delay(LAST_WORDS, undefined, { ref: true }))
    return requests
  } finally {
    clearTimeout(deadlineTimer)
    clearTimeout(idleTimer)
    clearInterval(sweep)
    hurry.removeEventListener('abort', onHurry)
  }
}

function aborted (signal: AbortSignal): Promise<unknown> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', resolve, { once: true })
  })
}

function isFirst (one: Promise<unknown>, other: Promise<unknown>): Promise<boolean> {
  return Promise.race([one.then(() => true), other.then(() => false)])
}
