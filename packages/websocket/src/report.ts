import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger } from 'fastify'

const channels = {
  opened: channel('fastkeep:websocket:opened'),
  refused: channel('fastkeep:websocket:refused'),
  closing: channel('fastkeep:websocket:closing'),
  closed: channel('fastkeep:websocket:closed'),
  slow: channel('fastkeep:websocket:slow'),
  failed: channel('fastkeep:websocket:failed'),
  drained: channel('fastkeep:websocket:drained'),
  broker: channel('fastkeep:websocket:broker'),
}

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type ReportedEvent = keyof typeof channels

export interface Report {
  /** Stable: log searches and alerts hang on it. */
  code: string
  [detail: string]: unknown
}

/** Logs an event and publishes it on `fastkeep:websocket:<event>`. */
export function report (
  log: FastifyBaseLogger, level: Level, event: ReportedEvent, details: Report, message: string
): void {
  log[level](details, message)
  channels[event].publish(details)
}
