import type { WorkerMessage, WorkerStats } from './worker-messages.js'

const LONGEST_TEXT = 10_000
const MOST_URLS = 100
/** ms, and what else a worker counts: a number beyond it is not an honest one. */
const LARGEST = Number.MAX_SAFE_INTEGER
const DAY = 86_400_000

/** What a worker says, if it is something that a worker can say: it may be in the hands of an attacker. */
export function readWorkerMessage (value: unknown): WorkerMessage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const message = value as Record<string, unknown>
  const isValid = Object.hasOwn(VALID, String(message.type)) && VALID[message.type as WorkerMessage['type']](message)
  return isValid ? value as WorkerMessage : undefined
}

const VALID: Record<WorkerMessage['type'], (message: Record<string, unknown>) => boolean> = {
  ready: ({ urls, keepAliveTimeout, longestStop, longestDrain }) => {
    return Array.isArray(urls) && urls.length <= MOST_URLS && urls.every(isText) && isCount(keepAliveTimeout, DAY) && isCount(longestStop, 2 * DAY) && isCount(longestDrain, 2 * DAY)
  },
  failed: ({ message, exitCode }) => isText(message) && isCount(exitCode, 255),
  beat: ({ stats }) => {
    if (typeof stats !== 'object' || stats === null) return false
    const { memory, eventLoopDelay, requests, connections, isPaused } = stats as Partial<Record<keyof WorkerStats, unknown>>
    return typeof isPaused === 'boolean' && [memory, eventLoopDelay, requests, connections].every(count => isCount(count, LARGEST))
  },
  leaving: () => true,
  graceful: ({ failure }) => failure === undefined || isText(failure),
  status: ({ parts }) => typeof parts === 'object' && parts !== null,
  peer: ({ topic }) => isText(topic),
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_TEXT
}

function isCount (value: unknown, most: number): value is number {
  return typeof value === 'number' && value >= 0 && value <= most
}
