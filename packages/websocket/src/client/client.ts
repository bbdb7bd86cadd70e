import type { Closed } from './backoff.js'
import { keepOpen, REFUSED, type Address, type ConnectionOptions, type Data, type State } from './connection.js'
import { codedError, localError, type WebSocketClientError } from './errors.js'
import { listen, tell, type Listeners } from './listeners.js'
import { signedLinks, type SigningOptions } from './signing.js'

export type { Closed } from './backoff.js'
export type { Address, ConnectionOptions, Data, State } from './connection.js'
export type { WebSocketClientError } from './errors.js'
export type { SigningKey, SigningOptions } from './signing.js'
export type { RefusingAnswer, WebSocketConstructor, WebSocketLike } from './websocket-like.js'

export interface ClientOptions extends ConnectionOptions {
  /** Time in ms in which a request is answered, the wait for a connection included. Default 10,000. */
  timeout?: number
  /** Time in ms of silence after which a client with subscriptions asks the server whether it is still there. Default 30,000. */
  heartbeat?: number
  /** Messages that may wait for a connection. Default 100. */
  maxQueued?: number
  /** Signs each message, and takes none that is not signed. The server must do the same. */
  signing?: SigningOptions
}

export interface ClientEvents {
  /** There is a connection; the first one, or one more. */
  open: { isFirst: boolean }
  /** A connection was lost, or could not be made. Without `delay` it was the last one. */
  close: Closed
  /** The server has agreed to a subscription, over each connection anew: what was published in between is for you to ask for. */
  subscribed: { topic: string }
  /** A message that is no answer and no publication. */
  message: { type: string, data: unknown }
  /** Text that is no envelope, or bytes. */
  data: string | ArrayBuffer
  /** The server refused a subscription, which has ended then, or a message that asked for no answer. */
  error: WebSocketClientError
}

export interface Client {
  readonly state: State
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number
  /**
   * Sends a message without an answer, or keeps it until there is a connection. It arrives once or, if the connection
   * is lost on the way, not at all. Throws FST_KEEP_WEBSOCKET_CLIENT_QUEUE_FULL and FST_KEEP_WEBSOCKET_CLIENT_CLOSED.
   */
  send (type: string, data?: unknown): void
  /** The same with text or bytes as they are, for plain routes. */
  sendRaw (data: Data): void
  /**
   * Sends a message and gives the answer. Rejects with the code of the server's error, with
   * FST_KEEP_WEBSOCKET_CLIENT_TIMEOUT or FST_KEEP_WEBSOCKET_CLIENT_CONNECTION_LOST (then nobody knows whether it was
   * done: it is not sent again), and as `send` throws.
   */
  request<Reply = unknown> (type: string, data?: unknown, options?: { timeout?: number }): Promise<Reply>
  /**
   * Calls the listener with what is published on the topic, over this connection and all that come after it, until the
   * function that it returns is called. Throws FST_KEEP_WEBSOCKET_CLIENT_CLOSED.
   */
  subscribe<Message = unknown> (topic: string, listener: (message: Message) => void): () => void
  /** Returns a function that takes the listener away. */
  on<Name extends keyof ClientEvents> (name: Name, listener: (event: ClientEvents[Name]) => void): () => void
  /** Ends it for good; the `close` event tells when it is done. A code of 1000 (the default) or from 3000 to 4999. */
  close (code?: number, reason?: string): void
}

/** Who waits for an answer. */
interface Call {
  resolve: (data: unknown) => void
  reject: (error: Error) => void
}

interface Envelope { type?: unknown, id?: number, topic?: string, data?: unknown }

/**
 * Opens a WebSocket to a route of `@fastkeep/websocket` and keeps it open: whatever ends it, another one is made after
 * a random, growing delay, and the topics are subscribed to again, until `close()` or a close code that says "stay away".
 *
 * `url` may be relative to the page, of `http:` or `ws:`, and a function, async too, that is asked before each attempt
 * (for one with a fresh token). Throws what the WebSocket throws for an address that is none, and
 * FST_KEEP_WEBSOCKET_CLIENT_UNSUPPORTED without WebSocket, or with `signing` and without WebCrypto.
 *
 * @example
 * const client = connect('/chat')
 * client.subscribe('room/7', ({ text }) => show(text))
 * const { id } = await client.request('chat.send', { text: 'hello' })
 */
export function connect (
  url: Address | (() => Address | Promise<Address>), { timeout = 10_000, heartbeat = 30_000, maxQueued = 100, signing, ...options }: ClientOptions = {}
): Client {
  const listeners: Listeners = new Map()
  const topics: Listeners = new Map()
  /** Both by the number of the message. */
  const calls = new Map<number, Call>()
  /** What waits for a connection, in order. */
  const queue = new Map<number, Data>()
  let lastId = 0
  let isFirst = true
  let pulse: ReturnType<typeof setTimeout>

  const connection = keepOpen(url, options, { open, message, lost }, signing && signedLinks(signing))

  function emit<Name extends keyof ClientEvents> (name: Name, event: ClientEvents[Name]): void {
    tell(listeners, name, event)
  }

  function open (): void {
    for (const topic of topics.keys()) subscribe(topic)
    queue.forEach(connection.send)
    queue.clear()
    beat()
    emit('open', { isFirst })
    isFirst = false
  }

  function message (text: Data): void {
    beat()
    const { type, id, topic, data } = envelopeIn(text)
    if (type === 'keep.topic') tell(topics, topic!, data)
    else if (type === 'keep.reply') calls.get(id!)?.resolve(data)
    else if (type === 'keep.error') refused(id, data as WebSocketClientError)
    else if (type === 'keep.hello') connection.abandon('the server signs', REFUSED)
    else if (typeof type === 'string') emit('message', { type, data })
    else emit('data', text as string | ArrayBuffer)
  }

  function refused (id: number | undefined, { code, message }: WebSocketClientError): void {
    const error = codedError(code, message)
    if (id === undefined) emit('error', error)
    else calls.get(id)?.reject(error)
  }

  function lost (closed: Closed): void {
    clearTimeout(pulse)
    for (const [id, { reject }] of calls) {
      if (connection.state === 'closed') reject(closedError())
      // What is still in the queue can go over the next connection.
      else if (!queue.has(id)) reject(localError('CONNECTION_LOST', `connection lost: ${closed.code}`))
    }
    emit('close', closed)
  }

  function post (data: Data, id = ++lastId): void {
    if (connection.state === 'closed') throw closedError()
    if (connection.state === 'open') return connection.send(data)
    if (queue.size >= maxQueued) throw localError('QUEUE_FULL', `${maxQueued} messages wait already`)
    queue.set(id, data)
  }

  function send (type: string, data?: unknown): void {
    post(JSON.stringify({ type, data }))
  }

  async function request (type: string, data?: unknown, { timeout: limit = timeout } = {}): Promise<unknown> {
    const id = ++lastId
    let timer
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => {
          reject(localError('TIMEOUT', `no answer in ${limit} ms`))
          // No handler of the application is to blame for that.
          if (type.startsWith('keep.')) connection.abandon('no answer')
        }, limit)
        calls.set(id, { resolve, reject })
        post(JSON.stringify({ type, id, data }), id)
      })
    } finally {
      clearTimeout(timer)
      calls.delete(id)
      queue.delete(id)
    }
  }

  function subscribe (topic: string): void {
    request('keep.subscribe', { topic }).then(() => emit('subscribed', { topic }), (error: WebSocketClientError) => {
      // Not the server's no: it is asked again over the next connection, if there is one.
      if (connection.state !== 'open') return
      topics.delete(topic)
      emit('error', Object.assign(error, { topic }))
    })
  }

  /** Something came: the server is asked after as much silence again. */
  function beat (): void {
    clearTimeout(pulse)
    pulse = setTimeout(() => {
      if (topics.size === 0) beat()
      else request('keep.ping').catch(() => {})
    }, heartbeat)
  }

  return {
    get state () { return connection.state },
    get bufferedAmount () { return connection.bufferedAmount },
    send,
    sendRaw: data => post(data),
    request: request as Client['request'],
    subscribe: (topic, listener) => {
      if (connection.state === 'closed') throw closedError()
      const isNew = !topics.has(topic)
      const remove = listen(topics, topic, listener, () => {
        if (connection.state === 'open') send('keep.unsubscribe', { topic })
      })
      if (isNew && connection.state === 'open') subscribe(topic)
      return remove
    },
    on: (name, listener) => listen(listeners, name, listener),
    close: connection.close,
  }
}

function envelopeIn (data: Data): Envelope {
  try {
    return Object(JSON.parse(data as string)) as Envelope
  } catch {
    return {}
  }
}

function closedError (): WebSocketClientError {
  return localError('CLOSED', 'closed, or given up')
}
