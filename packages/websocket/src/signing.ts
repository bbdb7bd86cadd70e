import { createHmac, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { SigningOptions } from './signing-keys.js'

/** How many bytes a signature adds to a message at most. */
export const SIGNATURE_BYTES = 61

const NONCE_BYTES = 16
const HELLO = '{"type":"keep.hello"'
const PROOF = '{"type":"keep.proof"}'
const KEY_ID_BYTES = 16
const MAC_BYTES = 32
/** Of a MAC in base64url without padding. */
const MAC_CHARACTERS = 43

/** The key ring of a route: the first key signs. */
export interface KeyRing {
  readonly signer: readonly [id: string, key: KeyObject]
  readonly keys: ReadonlyMap<string, KeyObject>
}

export function keyRing ({ keys }: SigningOptions): KeyRing {
  const entries = keys.map(({ id, secret }) => [id, createSecretKey(Buffer.from(secret as string))] as const)
  const [signer] = entries
  if (signer === undefined) throw new TypeError('a key ring has at least one key')
  return { signer, keys: new Map(entries) }
}

/** Whether a message begins signing: on a socket that does not sign, the two sides are configured differently. */
export function isHello (data: Buffer): boolean {
  return data.length >= HELLO.length && data.toString('latin1', 0, HELLO.length) === HELLO
}

/** What a message is not signed with: the reason of the close. */
export class SignatureRefused extends Error {}

/** The signing of one socket, see PROTOCOL.md. One object serves either side, so that tests can be the client. */
export class Signing {
  readonly #ring: KeyRing
  readonly #nonce: Buffer
  readonly #own: Direction
  readonly #other: Direction
  #state: 'hello' | 'proof' | 'open' = 'hello'

  constructor (ring: KeyRing, side: 'server' | 'client' = 'server', nonce = randomBytes(NONCE_BYTES)) {
    this.#ring = ring
    this.#nonce = nonce
    this.#own = new Direction(side === 'server' ? 's' : 'c')
    this.#other = new Direction(side === 'server' ? 'c' : 's')
    this.#own.setNonce(side, this.#nonce)
    this.#other.setNonce(side, this.#nonce)
  }

  /** The first message of this side. */
  get hello (): string {
    return `${HELLO},"nonce":"${this.#nonce.toString('base64url')}"}`
  }

  get isOpen (): boolean {
    return this.#state === 'open'
  }

  /**
   * Takes a message of the other side: its payload where it is one of the application, what is to be sent in answer
   * where it belongs to the handshake.
   *
   * @throws SignatureRefused
   */
  receive (data: Buffer, isBinary: boolean): { payload: Buffer } | { answer: string | undefined } {
    if (this.#state === 'hello') {
      this.#takeHello(data, isBinary)
      this.#state = 'proof'
      return { answer: this.sign(PROOF, false) as string }
    }
    const payload = isBinary ? this.#verifyBinary(data) : this.#verifyText(data)
    if (this.#state === 'open') return { payload }
    if (isBinary || payload.toString() !== PROOF) throw new SignatureRefused('signing: proof expected')
    this.#state = 'open'
    return { answer: undefined }
  }

  /** The message as it goes over the wire. */
  sign (payload: string | Uint8Array, isBinary: boolean): string | Buffer {
    const [id, key] = this.#ring.signer
    const mac = this.#own.nextMac(key, isBinary, payload)
    if (!isBinary) return `${id}.${mac.toString('base64url')}.${payload.toString()}`
    const header = Buffer.alloc(KEY_ID_BYTES)
    header.write(id, 'latin1')
    return Buffer.concat([header, mac, payload as Uint8Array])
  }

  #takeHello (data: Buffer, isBinary: boolean): void {
    const [, nonce] = /^\{"type":"keep\.hello","nonce":"([\w-]{22})"\}$/.exec(isBinary || !isHello(data) ? '' : data.toString('latin1')) ?? []
    if (nonce === undefined) throw new SignatureRefused('signing: hello expected')
    const bytes = Buffer.from(nonce, 'base64url')
    for (const direction of [this.#own, this.#other]) direction.setOtherNonce(bytes)
  }

  #verifyText (data: Buffer): Buffer {
    const idEnd = data.subarray(0, KEY_ID_BYTES + 1).indexOf('.')
    const macEnd = idEnd + 1 + MAC_CHARACTERS
    if (idEnd < 1 || data[macEnd] !== 0x2e) throw new SignatureRefused('signing: signature expected')
    const payload = data.subarray(macEnd + 1)
    const expected = this.#expectedMac(data.toString('latin1', 0, idEnd), false, payload)
    // The text itself is compared: a MAC has one spelling.
    return checked(Buffer.from(expected.toString('base64url')), data.subarray(idEnd + 1, macEnd), payload)
  }

  #verifyBinary (data: Buffer): Buffer {
    if (data.length < KEY_ID_BYTES + MAC_BYTES) throw new SignatureRefused('signing: signature expected')
    const id = data.toString('latin1', 0, KEY_ID_BYTES).replace(/\0+$/, '')
    const payload = data.subarray(KEY_ID_BYTES + MAC_BYTES)
    return checked(this.#expectedMac(id, true, payload), data.subarray(KEY_ID_BYTES, KEY_ID_BYTES + MAC_BYTES), payload)
  }

  #expectedMac (id: string, isBinary: boolean, payload: Buffer): Buffer {
    const key = this.#ring.keys.get(id)
    if (key === undefined) throw new SignatureRefused('signing: unknown key')
    return this.#other.nextMac(key, isBinary, payload)
  }
}

function checked (expected: Buffer, mac: Buffer, payload: Buffer): Buffer {
  if (!timingSafeEqual(expected, mac)) throw new SignatureRefused('signing: signature refused')
  return payload
}

/** What the MACs of one direction cover before the payload: version, direction, kind, both nonces, sequence number. */
class Direction {
  readonly #head = Buffer.alloc(3 + 2 * NONCE_BYTES + 8)
  #side: 'server' | 'client' = 'server'
  #sequence = 0

  constructor (sign: 'c' | 's') {
    this.#head[0] = 1
    this.#head.write(sign, 1, 'latin1')
  }

  setNonce (side: 'server' | 'client', nonce: Buffer): void {
    this.#side = side
    this.#head.set(nonce, side === 'client' ? 3 : 3 + NONCE_BYTES)
  }

  setOtherNonce (nonce: Buffer): void {
    this.#head.set(nonce, this.#side === 'client' ? 3 + NONCE_BYTES : 3)
  }

  nextMac (key: KeyObject, isBinary: boolean, payload: string | Uint8Array): Buffer {
    this.#head.write(isBinary ? 'b' : 't', 2, 'latin1')
    this.#head.writeBigUInt64BE(BigInt(this.#sequence++), this.#head.length - 8)
    return createHmac('sha256', key).update(this.#head).update(payload).digest()
  }
}
