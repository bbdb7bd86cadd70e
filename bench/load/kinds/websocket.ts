import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Client, LoadOptions } from '../load-options.js'
import { Lost, Retried } from '../tally.js'
import { pause, pauseAfterFailure, timeoutOf } from './pause.js'

/** "Going away" and "service restart": come again (RFC 6455, section 7.4.1, and its registry). */
const COME_AGAIN: readonly number[] = [1001, 1012]

/**
 * ms. A message that is no older when the close frame comes, or no older than echoes have been seen to take on this
 * machine, may have been sent when that was under way already.
 */
const CROSSING = 100

/**
 * A WebSocket for as long as the server keeps it; each message must come back. A close that says to come again is no
 * loss, a message that was there before it and was not answered is.
 */
export const webSocket: Client = async (options, tally, signal) => {
  const timeout = timeoutOf(options)
  let socket: WebSocket | undefined
  let count = 0
  while (!signal.aborted) {
    const isAnswered = await tally.count(async () => {
      if (socket?.readyState !== WebSocket.OPEN) socket = await open(options, timeout)
      await echo(socket, `message ${++count}`, timeout, Math.max(CROSSING, tally.longest))
    })
    await (isAnswered ? pause(options.think, signal) : pauseAfterFailure(signal))
  }
  socket?.terminate()
}

async function open ({ host, port, path = '/echo' }: LoadOptions, timeout: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${host}:${port}${path}`, { handshakeTimeout: timeout, perMessageDeflate: false })
  try {
    await once(socket, 'open')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Lost(code === 'ECONNREFUSED' ? 'refused' : message.startsWith('Unexpected server response') ? 'not2xx' : message.includes('timed out') ? 'timeout' : 'reset')
  } finally {
    socket.on('error', () => {})
  }
  return socket
}

function echo (socket: WebSocket, text: string, timeout: number, crossing: number): Promise<void> {
  const sent = performance.now()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer)
      socket.off('message', onMessage).off('close', onClose)
      if (error === undefined) return resolve()
      socket.terminate()
      reject(error)
    }
    const onMessage = (data: Buffer): void => settle(data.toString() === text ? undefined : new Lost('corrupt'))
    const onClose = (code: number): void => {
      const mayHaveCrossed = COME_AGAIN.includes(code) && performance.now() - sent < crossing
      settle(mayHaveCrossed ? new Retried() : new Lost('truncated'))
    }
    const timer = setTimeout(() => settle(new Lost('timeout')), timeout)
    socket.on('message', onMessage).on('close', onClose)
    socket.send(text, error => { if (error != null && socket.readyState !== WebSocket.CLOSING) onClose(1006) })
  })
}
