import type { TLSSocket } from 'node:tls'
import { Connection } from '../connection.js'
import type { Client } from '../load-options.js'
import { pause, pauseAfterFailure, timeoutOf } from './pause.js'
import { requestHead } from './request-head.js'

/** A TLS connection for each request, that offers the session of the one before it (RFC 8446, section 2.2). */
export const tlsResumption: Client = async (options, tally, signal) => {
  const head = requestHead(options)
  const timeout = timeoutOf(options)
  let session: Buffer | undefined
  while (!signal.aborted) {
    const isAnswered = await tally.count(async () => {
      const connection = await Connection.open(options, timeout, session)
      connection.socket.on('session', (ticket: Buffer) => { session = ticket })
      if ((connection.socket as TLSSocket).isSessionReused()) session = undefined
      await connection.ask(head, timeout).finally(() => connection.close())
    })
    await (isAnswered ? pause(options.think, signal) : pauseAfterFailure(signal))
  }
}
