import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_TIMEOUT } from '../load-options.js'

/** For as long as a user thinks: up to so many ms. Ends when the signal aborts. */
export async function pause (longest: number | undefined, signal: AbortSignal): Promise<void> {
  if (longest === undefined || longest === 0) return
  await delay(Math.random() * longest, undefined, { signal }).catch(() => {})
}

/** Nobody answers: a client that tried again at once would only heat the machine. */
export async function pauseAfterFailure (signal: AbortSignal): Promise<void> {
  await delay(10, undefined, { signal }).catch(() => {})
}

export function timeoutOf ({ timeout = DEFAULT_TIMEOUT }: { timeout?: number }): number {
  return timeout
}
