import { hintIn, isForGood, reconnectDelay, type Closed } from './backoff.js'
import { localError } from './errors.js'
import type { WebSocketConstructor, WebSocketLike } from './websocket-like.js'

export type Address = string | URL
export type Data = string | ArrayBuffer | Uint8Array

/** `waiting` for its next attempt; `closed` for good, from the call of `close()` on. */
export type State = 'connecting' | 'open' | 'waiting' | 'closed'

export interface ConnectionOptions {
  /** Default: the global one, which browsers and Node from 22 on have. Node 20 is given that of the package ws. */
  WebSocket?: WebSocketConstructor
  /** Subprotocols to offer. Default: none. */
  protocols?: string | string[]
  /** Time in ms over which the first attempt after a lost connection is spread; doubled with each failure. Default 500. */
  minDelay?: number
  /** Time in ms over which an attempt is spread at most. Default 30,000. */
  maxDelay?: number
  /** Time in ms that a handshake may take, and a close handshake. Default 10,000. */
  handshakeTimeout?: number
  /** Whether to give up. Default: after a code that says "stay away", however many attempts in a row have failed. */
  isFinal?: (closed: Closed, failures: number) => boolean
}

export interface ConnectionEvents {
  open (): void
  message (data: Data): void
  lost (closed: Closed): void
}

/** What lies between a socket and the application, and has the same calls on both sides. */
export interface Link {
  /** The socket is open; messages may be sent. */
  ready (event?: unknown): void
  /** From the application to the server. */
  write (data: Data): void
  /** From the server to the application. */
  message (data: Data): void
  /** What came must not be taken. */
  refuse (reason: string): void
}

export interface Connection {
  readonly state: State
  readonly bufferedAmount: number
  /** Only while the state is `open`. */
  send (data: Data): void
  close (code?: number, reason?: string): void
  /** Lets go of a connection over which nothing comes any more, or nothing that may be taken: its own `close` event may be minutes away. */
  abandon (reason: string, code?: number): void
}

/** A connection that stood for less (ms) counts as a failed attempt: else a server that accepts and closes is asked at full speed. */
const LASTING = 5_000

/** What 1008 is: a page may only send codes from 3000. */
export const REFUSED = 4008

/**
 * One WebSocket after the other, until it is closed or gives up.
 *
 * @param makeLink what the messages of one socket pass through; by default nothing
 */
export function keepOpen (url: Address | (() => Address | Promise<Address>), {
  WebSocket: Socket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket, protocols,
  minDelay = 500, maxDelay = 30_000, handshakeTimeout = 10_000, isFinal = isForGood,
}: ConnectionOptions, events: ConnectionEvents, makeLink: (link: Link) => Omit<Link, 'refuse'> = link => link): Connection {
  if (!Socket) throw localError('UNSUPPORTED', 'no global WebSocket: pass one')
  let state: State = 'connecting'
  let socket: WebSocketLike | undefined
  let link: Omit<Link, 'refuse'>
  /** Of the handshake, the wait or the close handshake: there is one of them at a time. */
  let timer: ReturnType<typeof setTimeout>
  let openSince = Infinity
  let failures = 0

  function open (address: Address): void {
    const own = new Socket!(address, protocols)
    const ifCurrent = <Event> (act: (event: Event) => void) => (event: Event) => { if (own === socket) act(event) }
    let refusal: Partial<Closed> = {}
    socket = own
    own.binaryType = 'arraybuffer'
    link = makeLink({
      ready: ifCurrent<unknown>(() => {
        if (state !== 'connecting') return
        clearTimeout(timer)
        state = 'open'
        openSince = Date.now()
        events.open()
      }),
      // Shared memory, which a page may not send, is for the socket to refuse.
      write: data => own.send(data as string),
      message: ifCurrent(events.message),
      refuse: ifCurrent(reason => abandon(reason, REFUSED)),
    })
    own.addEventListener('open', ifCurrent(() => link.ready()))
    own.addEventListener('message', ifCurrent(({ data }) => link.message(data)))
    own.addEventListener('close', ifCurrent(({ code, reason }) => lost({ code, reason, retryAfter: hintIn(reason), ...refusal })))
    // `close` comes after it, and tells as much. Without a listener the package ws would throw it.
    own.addEventListener('error', () => {})
    own.on?.('unexpected-response', (_request, { statusCode, headers }) => {
      refusal = { status: statusCode, retryAfter: hintIn(`retry-after=${headers['retry-after']}`) }
      own.close()
    })
    limit()
  }

  function dial (): void {
    state = 'connecting'
    new Promise<Address>(resolve => resolve(typeof url === 'function' ? url() : url)).then(address => {
      // It may have been closed meanwhile.
      if (state === 'connecting') open(address)
    }).catch(error => {
      if (state === 'connecting') lost({ code: 1006, reason: String(error) })
    })
  }

  function lost (closed: Closed): void {
    clearTimeout(timer)
    socket = undefined
    failures = Date.now() - openSince > LASTING ? 0 : failures + 1
    openSince = Infinity
    if (state === 'closed' || isFinal(closed, failures)) {
      state = 'closed'
      events.lost(closed)
      return
    }
    state = 'waiting'
    const delay = reconnectDelay(closed, failures, minDelay, maxDelay)
    timer = setTimeout(dial, delay)
    events.lost({ ...closed, delay })
  }

  /** Of a handshake that is under way. */
  function limit (): void {
    clearTimeout(timer)
    timer = setTimeout(() => abandon('no handshake'), handshakeTimeout)
  }

  function abandon (reason: string, code = 1006): void {
    const own = socket
    lost({ code, reason })
    own?.close(REFUSED, reason)
  }

  // What is wrong with a fixed address is thrown at who gave it.
  if (typeof url === 'function') dial()
  else open(url)

  return {
    get state () { return state },
    get bufferedAmount () { return socket?.bufferedAmount ?? 0 },
    send: data => link.write(data),
    abandon,
    close: (code = 1000, reason = '') => {
      if (state === 'closed') return
      state = 'closed'
      if (socket === undefined) lost({ code, reason })
      else {
        limit()
        socket.close(code, reason)
      }
    },
  }
}
