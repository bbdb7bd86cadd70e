import { setMaxListeners } from 'node:events'
import { http2 } from './kinds/http2.js'
import { download } from './kinds/download.js'
import { freshConnections } from './kinds/fresh-connections.js'
import { keepAlive } from './kinds/keep-alive.js'
import { tlsResumption } from './kinds/tls-resumption.js'
import { upload } from './kinds/upload.js'
import { webSocket } from './kinds/websocket.js'
import type { Client, LoadOptions } from './load-options.js'
import { Tally, type LoadReport } from './tally.js'

export { failedIn, type LoadReport } from './tally.js'
export type { LoadOptions } from './load-options.js'

const KINDS: Readonly<Record<LoadOptions['kind'], Client>> = {
  close: freshConnections,
  'keep-alive': keepAlive,
  think: keepAlive,
  'tls-resumption': tlsResumption,
  http2,
  download,
  upload,
  websocket: webSocket,
}

/** The longest pause of `think`, in ms, unless said otherwise. */
const THINK = 100

/**
 * Strict clients: what they have sent must be answered, whole, with a 2xx and the right content. They reconnect without
 * complaint only where the protocol lets a server close: after an answer with `Connection: close`, after GOAWAY or a
 * close frame, and while nothing is under way.
 */
export async function runLoad (options: LoadOptions, tally: Tally, signal: AbortSignal): Promise<void> {
  const client = KINDS[options.kind]
  // Every client in a pause listens to it.
  setMaxListeners(0, signal)
  const all = { ...options, think: options.think ?? (options.kind === 'think' ? THINK : 0) }
  await Promise.all(Array.from({ length: options.connections }, () => client(all, tally, signal)))
}

/** One load in one phase. */
export async function load (options: LoadOptions, signal: AbortSignal): Promise<LoadReport> {
  const tally = new Tally('all')
  await runLoad(options, tally, signal)
  return tally.reports.all as LoadReport
}
