import { setTimeout as delay } from 'node:timers/promises'

/** ms */
const LOOK = 50
const PATIENCE = 20_000

/** A server that does not tell when it serves. */
export async function untilAnswered (port: number): Promise<void> {
  const end = performance.now() + PATIENCE
  for (;;) {
    try {
      await (await fetch(`http://127.0.0.1:${port}/`)).text()
      return
    } catch (error) {
      if (performance.now() > end) throw error
      await delay(LOOK)
    }
  }
}
