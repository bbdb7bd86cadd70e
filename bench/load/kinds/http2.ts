import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { Client, LoadOptions } from '../load-options.js'
import { Lost, Retried } from '../tally.js'
import { pause, pauseAfterFailure, timeoutOf } from './pause.js'

/** One HTTP/2 session for as long as the server keeps it, one request after the other. */
export const http2: Client = async (options, tally, signal) => {
  const timeout = timeoutOf(options)
  let session: ClientHttp2Session | undefined
  while (!signal.aborted) {
    const isAnswered = await tally.count(async () => {
      if (session === undefined || session.closed || session.destroyed) session = await open(options, timeout)
      await ask(session, options, timeout)
    })
    await (isAnswered ? pause(options.think, signal) : pauseAfterFailure(signal))
  }
  session?.destroy()
}

async function open ({ host, port, ca }: LoadOptions, timeout: number): Promise<ClientHttp2Session> {
  const session = connect(`${ca === undefined ? 'http' : 'https'}://${host}:${port}`, ca === undefined ? {} : { ca, servername: 'localhost' })
  try {
    // The settings of the server: until then a GOAWAY could still be under way before the first request.
    await once(session, 'remoteSettings', { signal: AbortSignal.timeout(timeout) })
  } catch (error) {
    session.on('error', () => {}).destroy()
    const { name, code } = error as NodeJS.ErrnoException
    throw new Lost(code === 'ECONNREFUSED' ? 'refused' : name === 'AbortError' ? 'timeout' : 'reset')
  }
  session.on('error', () => {})
  return session
}

async function ask (session: ClientHttp2Session, { method = 'GET', path = '/' }: LoadOptions, timeout: number): Promise<void> {
  const stream = session.request({ ':method': method, ':path': path })
  let status: number | undefined
  let hasEnded = false
  stream.on('response', headers => { status = headers[':status'] })
  stream.on('end', () => { hasEnded = true })
  stream.on('error', () => {})
  stream.resume()
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    stream.close(constants.NGHTTP2_CANCEL)
  }, timeout)
  await once(stream, 'close').catch(() => {})
  clearTimeout(timer)
  if (isLate) throw new Lost('timeout')
  if (status === undefined || !hasEnded) throw whyNot(stream, status !== undefined)
  if (status < 200 || status > 299) throw new Lost('not2xx')
}

function whyNot ({ rstCode }: ClientHttp2Stream, hasBegun: boolean): Error {
  if (rstCode === constants.NGHTTP2_REFUSED_STREAM) return new Retried()
  return new Lost(hasBegun ? 'truncated' : 'reset')
}
