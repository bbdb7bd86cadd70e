import { setTimeout as delay } from 'node:timers/promises'

/** Runs tasks of one key after the other, and those of different keys at the same time. */
export type InTurn = <Result>(key: string, task: () => Promise<Result>) => Promise<Result>

/** @param patience ms after which a task runs although the one before it is not done; without it, never */
export function inTurn (patience?: number): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return (key, task) => {
    const before = last.get(key)
    const turn = before === undefined || patience === undefined ? before : Promise.race([before, delay(patience, undefined, { ref: false })])
    const result = turn === undefined ? task() : turn.then(task)
    const settled = result.catch(() => {}).finally(() => {
      if (last.get(key) === settled) last.delete(key)
    })
    last.set(key, settled)
    return result
  }
}
