import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Program } from '../engine/program.js'

/** The processes that a process has started and that still are. Linux only. */
export function childrenOf (pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

/** Those that were started with such an entry in their environment, whoever has started them. Linux only. */
export function processesWith (entry: string): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry)
    } catch {
      // It has ended, or is somebody else's.
      return false
    }
  })
}

/** ms */
const LOOK = 50

/** Of a server that does not tell when its reload is done: resolves when so many children are there that were not before. */
async function newChildren (pid: number, before: readonly number[], count: number): Promise<void> {
  while (childrenOf(pid).filter(child => !before.includes(child)).length < count) await delay(LOOK)
}

/** A reload by a signal; done when so many new children are there. */
export async function reloadBy (signal: NodeJS.Signals, { pid, process }: Pick<Program, 'pid' | 'process'>, count: number): Promise<void> {
  const before = childrenOf(pid)
  process.kill(signal)
  await newChildren(pid, before, count)
}
