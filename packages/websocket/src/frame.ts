/** First byte of a frame that is a whole message: FIN and the opcode (RFC 6455, 5.2). */
const WHOLE_TEXT = 0x81
const WHOLE_BINARY = 0x82

/** A message as a server sends it: one unmasked frame, the same bytes for every peer. */
export class Frame {
  readonly isBinary: boolean
  readonly bytes: Buffer
  readonly #payloadStart: number

  constructor (message: string | Uint8Array) {
    this.isBinary = typeof message !== 'string'
    const length = typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength
    const start = length < 126 ? 2 : length < 65_536 ? 4 : 10
    const bytes = Buffer.allocUnsafe(start + length)
    bytes[0] = this.isBinary ? WHOLE_BINARY : WHOLE_TEXT
    if (start === 2) {
      bytes[1] = length
    } else if (start === 4) {
      bytes[1] = 126
      bytes.writeUInt16BE(length, 2)
    } else {
      bytes[1] = 127
      bytes.writeUInt16BE(0, 2)
      bytes.writeUIntBE(length, 4, 6)
    }
    if (typeof message === 'string') bytes.write(message, start)
    else bytes.set(message, start)
    this.bytes = bytes
    this.#payloadStart = start
  }

  get size (): number {
    return this.bytes.length
  }

  /** The message without its header, for a socket that makes frames of its own. */
  get payload (): Buffer {
    return this.bytes.subarray(this.#payloadStart)
  }
}
