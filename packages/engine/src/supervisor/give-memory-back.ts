/** ms after the last work, so that it holds nothing up. */
const AFTER = 1_000

let timer: NodeJS.Timeout | undefined

/**
 * Gives the system back what the work so far has left in the heap. V8 does so as it allocates; a supervisor allocates
 * next to nothing while all is well, and would keep it. Takes some 20 ms, in which no client waits for this process.
 */
export function giveMemoryBack (): void {
  if (!process.features.inspector) return
  clearTimeout(timer)
  timer = setTimeout(collectGarbage, AFTER).unref()
}

/** By a session of its own: no port is opened, and nobody who debugs is disturbed. */
function collectGarbage (): void {
  const { Session } = process.getBuiltinModule('node:inspector')
  const session = new Session()
  session.connect()
  session.post('HeapProfiler.collectGarbage', () => session.disconnect())
}
