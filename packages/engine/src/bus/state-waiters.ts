import { WaitTimeout } from '../errors.js'
import type { State } from './states.js'

export interface WaitOptions {
  /** Rejects with its reason when it aborts. */
  signal?: AbortSignal
  /** ms after which it rejects with `FST_KEEP_ENGINE_WAIT_TIMEOUT`. Default: none. */
  timeout?: number
}

/** Those who wait for a bus to enter a state. */
export class StateWaiters {
  readonly #waiters = new Set<(state: State) => void>()

  entered (state: State): void {
    for (const waiter of [...this.#waiters]) waiter(state)
  }

  wait (wanted: readonly State[], present: State, { signal, timeout }: WaitOptions): Promise<State> {
    if (wanted.includes(present)) return Promise.resolve(present)
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiters.delete(onState)
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const onState = (state: State): void => {
        present = state
        if (!wanted.includes(state)) return
        settle()
        resolve(state)
      }
      const onAbort = (): void => {
        settle()
        reject(signal?.reason)
      }
      const onTimeout = (): void => {
        settle()
        reject(new WaitTimeout(wanted.join(' or '), timeout, present))
      }
      const timer = timeout === undefined ? undefined : setTimeout(onTimeout, timeout)
      this.#waiters.add(onState)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted === true) onAbort()
    })
  }
}
