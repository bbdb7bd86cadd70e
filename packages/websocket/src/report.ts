import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger } from 'fastify'

const channels = {
  refused: channel('fastkeep:websocket:refused'),
  closed: channel('fastkeep:websocket:closed'),
  drained: channel('fastkeep:websocket:drained'),
  broker: channel('fastkeep:websocket:broker'),
}

export interface Report {
  /** Stable: log searches and alerts hang on it. */
  code: string
  [detail: string]: unknown
}

/** Logs an event and publishes it on `fastkeep:websocket:<event>`. */
export function report (
  log: FastifyBaseLogger, level: 'debug' | 'info' | 'warn' | 'error', event: keyof typeof channels, details: Report, message: string
): void {
  log[level](details, message)
  channels[event].publish(details)
}
