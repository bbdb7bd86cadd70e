import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { predecessor } from './predecessor.js'

/*
 * A process that is to take the place of another one starts with less of the processors than those that serve, so that
 * clients do not wait while it compiles and connects. Lowering is everybody's right, raising again only that of a process
 * with CAP_SYS_NICE: without it nothing is lowered.
 */

/** Steps of niceness: a tenth of what a process gets that serves, while there is not enough for both. */
const STEPS = 10

const LOWEST = 19

const CAP_SYS_NICE = 23n

/** That of a process of this service that serves: this one may itself still be starting in another one's place. */
export const servingPriority = predecessor?.note.priority ?? getPriority()

/** Before the process has threads: each has a priority of its own, and inherits that of the one that made it. */
export function startGently (pid: number): void {
  if (mayRaise()) setPriority(pid, Math.min(LOWEST, servingPriority + STEPS))
}

export function serveFully (pid: number): void {
  if (!mayRaise()) return
  for (const thread of threadsOf(pid)) {
    try {
      setPriority(thread, servingPriority)
    } catch {
      // It has ended.
    }
  }
}

function threadsOf (pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}

function mayRaise (): boolean {
  try {
    const [, capabilities = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return (BigInt(`0x${capabilities}`) >> CAP_SYS_NICE & 1n) === 1n
  } catch {
    // A system that tells it in another way, or not at all.
    return false
  }
}
