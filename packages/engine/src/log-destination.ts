import { once, type EventEmitter } from 'node:events'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Engine } from './engine.js'

/** What pino writes to, where that is a file: it can be opened anew under its path. */
interface LogFile extends EventEmitter {
  readonly file: string
  reopen (): void
}

/** ms for what the logger still holds to be written. */
const FLUSH_TIMEOUT = 5_000

/**
 * Ties an app's logger to the bus: its file is opened again on `graceful` 90, as log rotation wants it, and what it
 * holds is written at `exit` 99. A logger that has neither a file nor a flush is left alone.
 */
export function subscribeLogDestination (app: FastifyInstance, engine: Engine): void {
  const name = 'log'
  engine.subscribe('graceful', () => reopen(app.log), { priority: 90, name })
  engine.subscribe('exit', () => flush(app.log), { priority: 99, name, timeout: FLUSH_TIMEOUT })
}

async function reopen (log: FastifyBaseLogger): Promise<void> {
  const file = fileOf(log)
  if (file === undefined) return
  const opened = once(file, 'ready')
  file.reopen()
  await opened
}

/** pino has its destination under a symbol of its own; Fastify may have put objects in between. */
function fileOf (log: object): LogFile | undefined {
  for (let object: object | null = log; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === 'pino.stream')
    if (symbol !== undefined) {
      const stream = (object as Record<symbol, Partial<LogFile> | undefined>)[symbol]
      return typeof stream?.file === 'string' && typeof stream.reopen === 'function' ? stream as LogFile : undefined
    }
  }
  return undefined
}

async function flush (log: FastifyBaseLogger & { flush?: (done: (error?: Error) => void) => void }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (log.flush === undefined) return resolve()
    log.flush(error => { if (error === undefined || error === null) resolve(); else reject(error) })
  })
}
