import type { Target } from './connection.js'
import type { Tally } from './tally.js'

/** One kind of client, and how many of them. */
export interface LoadOptions extends Target {
  /** See `kinds/`. */
  kind: 'close' | 'keep-alive' | 'think' | 'tls-resumption' | 'http2' | 'download' | 'upload' | 'websocket'
  connections: number
  /** ms; the longest pause between an answer and the next request. Default: 100 for `think`, else none. */
  think?: number
  method?: 'GET' | 'POST'
  path?: string
  /** ms after which an answer counts as missing. Default 10,000. */
  timeout?: number
  /** Bytes of a download or upload. Default 1 MiB. */
  size?: number
}

/** The life of one client, until the signal aborts; what is under way then is finished. */
export type Client = (options: LoadOptions, tally: Tally, signal: AbortSignal) => Promise<void>

export const DEFAULT_TIMEOUT = 10_000
export const DEFAULT_SIZE = 2 ** 20
