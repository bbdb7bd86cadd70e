import { closeSync, openSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Engine, LogEntry, LogLevel } from '@fastkeep/engine'
import { LogRefused } from './errors.js'

/** As pino numbers them. */
const LEVELS: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 }

const STDOUT = 1
const SILENT = Infinity

/**
 * Writes what a bus logs as lines of JSON like those of Fastify's logger, which this process does without: it loads
 * nothing that it does not need. A file is opened again on `graceful` 90.
 *
 * @param file default: standard output
 * @param level from which on
 * @throws `FST_KEEP_FASTKEEP_LOG_REFUSED` (exit code 73)
 */
export function logProcess (engine: Engine, { file, level = 'info' }: { file?: string | undefined, level?: string | undefined }): void {
  const path = file === undefined ? undefined : resolve(file)
  const open = (): number => path === undefined ? STDOUT : openLog(path)
  const least = LEVELS[level as LogLevel] ?? SILENT
  let fd = open()
  engine.subscribe('log', entry => { if (LEVELS[entry.level] >= least) write(fd, lineOf(entry)) }, { name: 'log' })
  if (path === undefined) return
  engine.subscribe('graceful', () => {
    const before = fd
    fd = open()
    closeSync(before)
  }, { priority: 90, name: 'log' })
}

/**
 * Creates the file if it is not there.
 *
 * @throws `FST_KEEP_FASTKEEP_LOG_REFUSED` (exit code 73)
 */
export function openLog (path: string): number {
  try {
    return openSync(path, 'a', 0o640)
  } catch (cause) {
    throw new LogRefused(path, (cause as Error).message, { cause })
  }
}

function lineOf ({ message, level, error, code }: LogEntry): string {
  const err = error instanceof Error ? { type: error.name, message: error.message, stack: error.stack } : undefined
  return `${JSON.stringify({ level: LEVELS[level], time: Date.now(), pid: process.pid, code, err, msg: message })}\n`
}

/** What cannot be written is lost: a reader of the log who is slow, or has gone, does not hold up the service. */
function write (fd: number, text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // There is nobody to tell.
  }
}
