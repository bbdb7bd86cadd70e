import { Connection, type Body } from '../connection.js'
import type { Client, LoadOptions } from '../load-options.js'
import type { Tally } from '../tally.js'
import { pause, pauseAfterFailure, timeoutOf } from './pause.js'
import { requestHead } from './request-head.js'

/** What a request of a row consists of, and what its answer must be. */
export interface Exchange {
  readonly head: string
  readonly body?: Body
  readonly onBody?: (bytes: Buffer) => void
  /** @throws Lost if what came is not what had to come */
  readonly verify?: () => void
}

/** One connection for as long as the server keeps it, one request after the other. */
export const keepAlive: Client = async (options, tally, signal) => {
  const head = requestHead(options)
  await exchanges(options, tally, signal, () => ({ head }))
}

/** The same with requests of any form. */
export async function exchanges (options: LoadOptions, tally: Tally, signal: AbortSignal, next: () => Exchange): Promise<void> {
  const timeout = timeoutOf(options)
  let connection: Connection | undefined
  while (!signal.aborted) {
    const isAnswered = await tally.count(async () => {
      const { head, body, onBody, verify } = next()
      if (connection?.isUsable !== true) connection = await Connection.open(options, timeout)
      await connection.ask(head, timeout, onBody, body)
      verify?.()
    })
    await (isAnswered ? pause(options.think, signal) : pauseAfterFailure(signal))
  }
  connection?.close()
}
