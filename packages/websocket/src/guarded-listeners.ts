import { errorMonitor } from 'node:events'
import type { WebSocket } from 'ws'

export interface GuardedListenersOptions {
  /** Messages that may wait for the first listener. */
  maxHeldMessages: number
  /** Bytes that may wait for the first listener. */
  maxHeldBytes: number
  /** More came than may wait. What was held is gone, and no message, ping or pong is delivered any more. */
  onExcess: () => void
  /** A listener threw or rejected. No message, ping or pong is delivered any more. */
  onFailure: (error: unknown) => void
}

export interface GuardedListeners {
  /** Ends the holding: from now on a message that nobody listens to is dropped, as ws does. */
  release (): void
  /** Treats an error of the handler like one of a listener. */
  fail (error: unknown): void
}

const GUARDED_EVENTS: ReadonlySet<string | symbol> = new Set(['message', 'ping', 'pong', 'close', 'error'])

/** These end a socket, and reach all its listeners even if some have failed: those that free what it holds are among them. */
const LAST_EVENTS: ReadonlySet<string | symbol> = new Set(['close', 'error', errorMonitor])

/**
 * Makes two promises for the listeners of a socket, by taking the place of its `emit`:
 * - a message that comes before the first `message` listener is held and delivered to it, in order;
 * - a listener that throws or rejects is reported, where else it would end the process.
 */
export function guardListeners (socket: WebSocket, options: GuardedListenersOptions): GuardedListeners {
  const emit = socket.emit
  let held: unknown[][] | undefined = []
  let heldBytes = 0
  let hasFailed = false

  function release (): void {
    const waiting = held ?? []
    held = undefined
    socket.off('newListener', releaseSoon)
    for (const args of waiting) deliver('message', args)
  }

  function releaseSoon (event: string | symbol): void {
    // `newListener` comes before the listener is attached, and others may be attached in the same breath.
    if (event === 'message') queueMicrotask(release)
  }

  function hold (args: unknown[], waiting: unknown[][]): void {
    heldBytes += byteLength(args[0])
    if (waiting.length < options.maxHeldMessages && heldBytes <= options.maxHeldBytes) {
      waiting.push(args)
      return
    }
    stop()
    options.onExcess()
  }

  function deliver (event: string | symbol, args: unknown[]): void {
    for (const listener of socket.rawListeners(event)) {
      if (hasFailed && !LAST_EVENTS.has(event)) return
      try {
        const result: unknown = Reflect.apply(listener, socket, args)
        if (result instanceof Promise) result.catch(fail)
      } catch (error) {
        fail(error)
      }
    }
  }

  function stop (): void {
    hasFailed = true
    held = undefined
  }

  function fail (error: unknown): void {
    stop()
    options.onFailure(error)
  }

  socket.on('newListener', releaseSoon)
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (!GUARDED_EVENTS.has(event)) return Reflect.apply(emit, socket, [event, ...args])
    if (event === 'error') deliver(errorMonitor, args)
    if (event === 'message' && held !== undefined) hold(args, held)
    else deliver(event, args)
    return true
  }
  return { release, fail }
}

/** ws gives a Buffer, an ArrayBuffer or an array of Buffers, as the socket's `binaryType` says. */
function byteLength (data: unknown): number {
  if (Array.isArray(data)) return data.reduce<number>((sum, part) => sum + byteLength(part), 0)
  return (data as ArrayBuffer).byteLength
}
