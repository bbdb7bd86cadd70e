import { AsyncLocalStorage } from 'node:async_hooks'
import { ReentrantTransition } from '../errors.js'
import type { Channel, Subscription } from './channel.js'

/** The listener that runs in a transition, found again in whatever it calls. */
const running = new AsyncLocalStorage<{ bus: object, channel: string, name: string, isRunning: boolean }>()
let runningCount = 0

/** Runs a listener that a transition of the bus waits for. */
export async function runInTransition (bus: object, channel: Channel, subscription: Subscription): Promise<void> {
  const frame = { bus, channel: channel.name, name: subscription.name, isRunning: true }
  runningCount++
  try {
    await running.run(frame, () => channel.run(subscription, []))
  } finally {
    frame.isRunning = false
    // On Node 20 and 22 an AsyncLocalStorage in use slows down every promise of the process.
    if (--runningCount === 0) running.disable()
  }
}

/**
 * Why a transition cannot be asked for here: a listener that the bus waits for asks for it, and would wait for itself.
 * Work that a listener leaves behind may.
 */
export function reentrancy (bus: object, method: string): Error | undefined {
  const frame = running.getStore()
  if (frame === undefined || frame.bus !== bus || !frame.isRunning) return undefined
  return new ReentrantTransition(method, frame.name, frame.channel)
}
