import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import { boundBuffer } from './backpressure.js'
import { closeWithin, terminateWithin } from './closing.js'
import { guardListeners, type GuardedListeners } from './guarded-listeners.js'
import { report } from './report.js'
import type { GuardedWebSocket, Peer } from './socket.js'
import type { Topics } from './topics.js'

const MAX_EARLY_MESSAGES = 16

export interface AdoptOptions {
  peer: Peer
  topics: Topics
  /** Bytes of all messages that may wait for the handler's first listener. */
  maxPayload: number
  /** Bytes that may wait for the peer to read them. */
  maxBufferedBytes: number
  closeDeadline: number
  log: FastifyBaseLogger
}

/** Makes the socket of a finished handshake what a handler gets, before any message can have come. */
export function adopt (socket: WebSocket, { peer, topics, maxPayload, maxBufferedBytes, closeDeadline, log }: AdoptOptions): GuardedListeners & { socket: GuardedWebSocket } {
  const guarded: GuardedWebSocket = Object.assign(socket, {
    peer,
    subscribe: (topic: string) => topics.subscribe(guarded, topic),
    unsubscribe: (topic: string) => topics.unsubscribe(guarded, topic),
  })
  boundBuffer(socket, {
    maxBufferedBytes,
    onSlowReader: () => {
      report(log, 'warn', 'closed', { code: 'FST_KEEP_WEBSOCKET_SLOW_READER', closeCode: 1013, bufferedAmount: socket.bufferedAmount },
        'WebSocket closed: its peer does not read fast enough')
      closeWithin(socket, 1013, 'too slow', closeDeadline)
    },
  })
  const listeners = guardListeners(socket, {
    maxHeldMessages: MAX_EARLY_MESSAGES,
    maxHeldBytes: maxPayload,
    onExcess: () => {
      report(log, 'warn', 'closed', { code: 'FST_KEEP_WEBSOCKET_EARLY_MESSAGES', closeCode: 1008 },
        'WebSocket closed: more messages came before the handler was ready than may wait')
      closeWithin(socket, 1008, 'too many messages before the server was ready', closeDeadline)
    },
    onFailure: error => {
      // A listener of `close` or `error` fails when the socket has been closed already, with another code.
      const closeCode = socket.readyState === socket.OPEN ? 1011 : undefined
      report(log, 'error', 'closed', { code: 'FST_KEEP_WEBSOCKET_HANDLER_FAILED', closeCode, err: error },
        'WebSocket closed: its handler or a listener failed')
      closeWithin(socket, 1011, 'internal error', closeDeadline)
    },
  })
  return { socket: guarded, ...listeners }
}

/** An `error` event: ws has sent the close frame that fits, or the connection is gone. */
export function onSocketError (error: Error & { code?: unknown }, socket: WebSocket, closeDeadline: number, log: FastifyBaseLogger): void {
  if (typeof error.code === 'string' && error.code.startsWith('WS_ERR_')) {
    report(log, 'warn', 'closed', { code: 'FST_KEEP_WEBSOCKET_FRAME_REFUSED', err: error }, `WebSocket closed: ${error.message}`)
  } else {
    report(log, 'debug', 'closed', { code: 'FST_KEEP_WEBSOCKET_CONNECTION_LOST', err: error }, `WebSocket lost: ${error.message}`)
  }
  terminateWithin(socket, closeDeadline)
}
