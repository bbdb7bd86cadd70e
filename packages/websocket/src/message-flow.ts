import type { FastifyRequest } from 'fastify'
import { errorEnvelope, parseEnvelope, replyEnvelope, type Envelope, type EnvelopeId } from './envelope.js'
import { MessageFailed, MessageTimeout, MessageUnknown } from './errors.js'
import type { InnerSocket } from './guarded-socket.js'

/** The envelopes of one socket: each is parsed, validated, handled and answered, `maxPendingMessages` at a time. */
export class MessageFlow {
  readonly #socket: InnerSocket
  readonly #request: FastifyRequest
  readonly #waiting: string[] = []
  #underWay = 0
  /** The socket is to be closed as soon as nothing is pending. */
  #onAnswered: (() => void) | undefined
  /** It was paused here, not by the application. */
  #hasPaused = false

  constructor (socket: InnerSocket, request: FastifyRequest) {
    this.#socket = socket
    this.#request = request
  }

  get pending (): number {
    return this.#underWay + this.#waiting.length
  }

  take (text: string): void {
    if (this.#underWay < this.#socket.guard.policy.maxPendingMessages) {
      this.#begin(text)
      return
    }
    // What has been read already waits here; the rest in the kernel, and then with the client.
    this.#waiting.push(text)
    if (this.#socket.isPaused) return
    this.#hasPaused = true
    this.#socket.pause()
  }

  /** Reads no more, and calls back once all that has been read is answered; never if the socket closes before. */
  finish (then: () => void): void {
    if (this.pending === 0) return then()
    this.#onAnswered = then
    this.#socket.pause()
  }

  /** Nothing more is begun. */
  stop (): void {
    this.#waiting.length = 0
    this.#onAnswered = undefined
  }

  #begin (text: string): void {
    let envelope
    try {
      envelope = parseEnvelope(text)
    } catch (error) {
      this.#socket.guard.close(1007, 'not an envelope', 'FST_KEEP_WEBSOCKET_MESSAGE_MALFORMED', { err: error })
      return
    }
    this.#underWay++
    this.#answer(envelope).then(() => this.#end(), (error: unknown) => this.#socket.guard.fail(error))
  }

  #end (): void {
    this.#underWay--
    const next = this.#waiting.shift()
    if (next !== undefined) {
      this.#begin(next)
    } else if (this.#onAnswered !== undefined) {
      if (this.#underWay === 0) this.#onAnswered()
    } else if (this.#hasPaused) {
      this.#hasPaused = false
      this.#socket.resume()
    }
  }

  async #answer ({ type, id, data }: Envelope): Promise<void> {
    try {
      const { messages, replyTimeout } = this.#socket.guard.policy
      const message = messages.get(type)
      if (message === undefined) throw new MessageUnknown(JSON.stringify(type.slice(0, 100)))
      const handled = async (isTooLate: () => boolean): Promise<unknown> => message.handle(await message.validate(data), this.#socket, this.#request, isTooLate)
      const reply = await withinTime(handled, replyTimeout, error => this.#logFailure(type, error))
      if (id !== undefined) this.#send(replyEnvelope(id, message.serialize(reply)))
    } catch (error) {
      this.#refuse(type, id, error)
    }
  }

  #refuse (type: string, id: EnvelopeId | undefined, error: unknown): void {
    if (error instanceof MessageTimeout || !isForTheClient(error)) this.#logFailure(type, error)
    const { code, message } = isForTheClient(error) ? error : new MessageFailed()
    this.#send(errorEnvelope(id, typeof code === 'string' ? code : 'FST_KEEP_WEBSOCKET_MESSAGE_FAILED', message))
  }

  #send (envelope: string): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(envelope)
  }

  #logFailure (type: string, err: unknown): void {
    const code = err instanceof MessageTimeout ? err.code : 'FST_KEEP_WEBSOCKET_MESSAGE_FAILED'
    this.#socket.guard.report('error', 'failed', { code, type, err }, `The handler of the WebSocket message "${type}" failed`)
  }
}

function isForTheClient (error: unknown): error is Error & { code?: unknown } {
  if (error instanceof MessageTimeout) return true
  const { statusCode } = Object(error) as { statusCode?: unknown }
  return error instanceof Error && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}

/** @param tooLate told of an error that comes after the time is up */
async function withinTime<T> (begin: (isTooLate: () => boolean) => Promise<T>, ms: number, tooLate: (error: unknown) => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  const promise = begin(() => isOver)
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      isOver = true
      reject(new MessageTimeout(ms))
    }, ms).unref()
  })
  promise.catch((error: unknown) => { if (isOver) tooLate(error) })
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer))
}
