import { readdirSync, readFileSync } from 'node:fs'

/** How often the threads of a process have gone to sleep of their own accord, which is how often they had been woken. */
export function voluntarySwitches (pid: number): number {
  return sumOverThreads(pid, 'status', text => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]))
}

/** ms for which the threads of a process have run. */
export function cpuTime (pid: number): number {
  return sumOverThreads(pid, 'schedstat', text => Number(text.split(' ')[0]) / 1e6)
}

function sumOverThreads (pid: number, file: string, read: (text: string) => number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => sum + read(readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8')), 0)
}
