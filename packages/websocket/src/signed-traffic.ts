import type { InnerSocket } from './guarded-socket.js'
import { DEFAULTS } from './options.js'
import type { Data, SendOptions } from './outbox.js'
import { SignatureRefused, Signing, type KeyRing } from './signing.js'

/** The signing of a socket of this server: its handshake, its deadline, what is refused. */
export class SignedTraffic {
  readonly #socket: InnerSocket
  readonly #signing: Signing
  #timer: NodeJS.Timeout | undefined
  #settle: ((isOpen: boolean) => void) | undefined
  /** The signing sends for itself: its messages are on the wire as they are. */
  #isOwnMessage = false

  constructor (socket: InnerSocket, ring: KeyRing) {
    this.#socket = socket
    this.#signing = new Signing(ring)
  }

  /** Says hello. @returns whether both sides have proved that they know a key; `false` once the socket is closed */
  begin (): Promise<boolean> {
    // In the drop-in that for handshakes may be off.
    const timeout = this.#socket.guard.policy.handshakeTimeout || DEFAULTS.handshakeTimeout
    this.#timer = setTimeout(() => this.#refuse('signing: nothing heard'), timeout).unref()
    this.#sendOwn(this.#signing.hello)
    return new Promise(resolve => { this.#settle = resolve })
  }

  /** @returns the payload of a message of the application */
  receive (data: unknown, isBinary: boolean): Buffer | undefined {
    try {
      const received = this.#signing.receive(bufferOf(data), isBinary)
      if ('payload' in received) return this.#withinLimit(received.payload)
      if (received.answer !== undefined) this.#sendOwn(received.answer)
      if (this.#signing.isOpen) this.#finish(true)
    } catch (error) {
      if (!(error instanceof SignatureRefused)) throw error
      this.#refuse(error.message)
    }
    return undefined
  }

  sign (data: Data, { binary, fin }: SendOptions): Data {
    if (this.#isOwnMessage) return data
    if (fin === false) throw new TypeError('a signed message cannot be sent in fragments: send it whole')
    const isBinary = binary ?? (typeof data !== 'string' && typeof data !== 'number')
    return this.#signing.sign(typeof data === 'string' || typeof data === 'number' ? String(data) : bufferOf(data), isBinary)
  }

  end (): void {
    this.#finish(false)
  }

  #withinLimit (payload: Buffer): Buffer | undefined {
    const { guard } = this.#socket
    if (payload.length <= guard.policy.maxPayload) return payload
    guard.close(1009, 'message too large', 'FST_KEEP_WEBSOCKET_FRAME_REFUSED')
    return undefined
  }

  #sendOwn (message: string): void {
    this.#isOwnMessage = true
    this.#socket.send(message)
    this.#isOwnMessage = false
  }

  #refuse (reason: string): void {
    this.#socket.guard.close(1008, reason, 'FST_KEEP_WEBSOCKET_SIGNATURE_REFUSED')
    this.#finish(false)
  }

  #finish (isOpen: boolean): void {
    clearTimeout(this.#timer)
    this.#settle?.(isOpen)
  }
}

/** Whatever ws gives and takes: a Buffer, an ArrayBuffer, a view of one, an array of Buffers. */
function bufferOf (data: unknown): Buffer {
  if (Buffer.isBuffer(data)) return data
  if (Array.isArray(data)) return Buffer.concat(data.map(bufferOf))
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (data instanceof ArrayBuffer) return Buffer.from(data)
  throw new TypeError('a signed message is a string or bytes')
}
