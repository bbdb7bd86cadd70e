import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { once, type EventEmitter } from 'node:events'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Engine } from './engine.js'
import { LogLost } from './errors.js'

/** What pino writes to: sonic-boom, where it is not another stream or a thread. */
interface LogDestination extends EventEmitter {
  readonly fd: number
  /** `null` for one that was given by its descriptor. */
  readonly file: string | null
  write (text: string): void
  flush (): void
  flushSync (): void
  reopen (): void
}

/** ms for what the logger still holds to be written. */
const FLUSH_TIMEOUT = 5_000

/** Whoever read what was written has gone: a terminal that was closed, a pipe. */
const READER_GONE = new Set(['EIO', 'EPIPE'])

const logFailed = diagnosticsChannel('fastkeep:engine:log-failed')

/**
 * Ties an app's logger to the bus: its file is opened again on `graceful` 90, as log rotation wants it, and what it
 * holds is written at `exit` 99. A log that cannot be written, e.g. on a full disk, takes nothing down: pino holds what
 * is logged until it can, which goes to `fastkeep:engine:log-failed` once, and if it never can, fails the exit.
 *
 * Other loggers than pino, and what it writes to threads and streams, are left alone but for their flush.
 */
export function subscribeLogDestination (app: FastifyInstance, engine: Engine): void {
  const name = 'log'
  const destination = destinationOf(app.log)
  if (destination !== undefined) standFailures(destination, failure => logFailed.publish({ bus: engine, failure }))
  engine.subscribe('graceful', () => destination === undefined ? undefined : reopen(destination), { priority: 90, name })
  engine.subscribe('exit', () => Promise.all([flush(app.log), destination === undefined ? undefined : wrote(destination)]), { priority: 99, name, timeout: 2 * FLUSH_TIMEOUT })
}

/** pino has its destination under a symbol of its own; Fastify may have put objects in between. */
function destinationOf (log: object): LogDestination | undefined {
  for (let object: object | null = log; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === 'pino.stream')
    if (symbol !== undefined) {
      const stream = (object as Record<symbol, Partial<LogDestination> | undefined>)[symbol]
      return typeof stream?.fd === 'number' && stream.file !== undefined && typeof stream.reopen === 'function' ? stream as LogDestination : undefined
    }
  }
  return undefined
}

const standing = new WeakSet<LogDestination>()

/** Without a listener a failure is thrown at whoever logs; and in flushSync(), at the end of a process and after a `fatal`, pino tries for ever. */
function standFailures (destination: LogDestination, tell: (failure: Error) => void): void {
  if (standing.has(destination)) return
  standing.add(destination)
  let isFailing = false
  destination.on('error', (failure: Error) => {
    if (isFailing) return
    isFailing = true
    destination.once('write', () => { isFailing = false })
    tell(failure)
  })
  const { flushSync } = destination
  destination.flushSync = () => {
    // An ordinary try, of what a destination with a `minLength` holds back.
    destination.flush()
    if (!isFailing) Reflect.apply(flushSync, destination, [])
  }
}

async function reopen (destination: LogDestination): Promise<void> {
  if (destination.file === null) return
  const opened = once(destination, 'ready')
  destination.reopen()
  await opened
}

async function flush (log: FastifyBaseLogger & { flush?: (done: (error?: Error) => void) => void }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (log.flush === undefined) return resolve()
    log.flush(error => { if (error === undefined || error === null) resolve(); else reject(new LogLost(error.message, { cause: error })) })
  })
}

/** Resolves when a write is done, which first of all is that of what an earlier one has left. */
async function wrote (destination: LogDestination): Promise<void> {
  // Once the reader of a pipe has gone, pino has it do the same whatever is called: nothing.
  if (destination.write === destination.flushSync) return
  const outcome = once(destination, 'write', { signal: AbortSignal.timeout(FLUSH_TIMEOUT) })
  destination.write('')
  try {
    await outcome
  } catch (cause) {
    const { code = '', name, message } = cause as NodeJS.ErrnoException
    if (destination.file === null && READER_GONE.has(code)) return
    throw new LogLost(name === 'AbortError' ? `not within ${FLUSH_TIMEOUT} ms` : message, { cause })
  }
}
