import { Connection } from '../connection.js'
import type { Client } from '../load-options.js'
import { pause, pauseAfterFailure, timeoutOf } from './pause.js'
import { requestHead } from './request-head.js'

/** A connection for each request. */
export const freshConnections: Client = async (options, tally, signal) => {
  const head = requestHead(options)
  const timeout = timeoutOf(options)
  while (!signal.aborted) {
    const isAnswered = await tally.count(async () => {
      const connection = await Connection.open(options, timeout)
      await connection.ask(head, timeout).finally(() => connection.close())
    })
    await (isAnswered ? pause(options.think, signal) : pauseAfterFailure(signal))
  }
}
