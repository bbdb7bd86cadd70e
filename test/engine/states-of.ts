import type { Bus, LogEntry } from '@fastkeep/engine'

/** Notes each state that the bus logs, in order. */
export function statesOf (bus: Bus): string[] {
  const states: string[] = []
  bus.subscribe('log', ({ message }: LogEntry) => { if (/^Bus [A-Z]+$/.test(message)) states.push(message.slice(4)) })
  return states
}
