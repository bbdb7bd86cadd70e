/** Runs tasks of one key after the other, and those of different keys at the same time. */
export type InTurn = <Result>(key: string, task: () => Promise<Result>) => Promise<Result>

export function inTurn (): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return (key, task) => {
    const result = (last.get(key) ?? Promise.resolve()).then(task)
    const settled = result.catch(() => {}).finally(() => {
      if (last.get(key) === settled) last.delete(key)
    })
    last.set(key, settled)
    return result
  }
}
