import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto'
import { CLOCK_SKEW } from '../lifetimes.js'
import { KEY_ID_BYTES, type KeyRing } from './key-ring.js'

/*
 * The sealed value is base64url, without padding, of
 *   version (1 byte) | key id (8) | day (4, big-endian) | nonce (12) | ciphertext | tag (16)
 * The first three are the header: in clear, and authenticated.
 */
const VERSION = 1
const DAY_OFFSET = 1 + KEY_ID_BYTES
const HEADER_BYTES = DAY_OFFSET + 4
const NONCE_BYTES = 12
const TAG_BYTES = 16
const TAG_LENGTH = { authTagLength: TAG_BYTES }
const SMALLEST = HEADER_BYTES + NONCE_BYTES + TAG_BYTES

const SECONDS_OF_A_DAY = 24 * 60 * 60

export interface SealContext {
  readonly ring: KeyRing
  /** With its prefix, as it is sent. */
  readonly cookieName: string
  /** Keeps applications with the same keys apart. */
  readonly application: string
  readonly purpose: string
  /** How long (s) a sealed value can be of use at most. */
  readonly longestAge: number
}

export type SealRefusal = 'malformed' | 'unknown-version' | 'unknown-key' | 'day-in-future' | 'expired' | 'tampered'

export type Unsealed =
  | { readonly text: string, readonly keyId: Buffer, /** Sealed with a key that is no longer the first. */ readonly isKeyRetired: boolean }
  | { readonly refused: SealRefusal }

/** Seals a text with AES-256-GCM and a random nonce, under the first key's sub-key for the day of `now` (s). */
export function seal (context: SealContext, text: string, now: number): string {
  const { subkey, header, aad } = sealingOf(context, Math.floor(now / SECONDS_OF_A_DAY))
  const nonce = nextNonce()
  const cipher = createCipheriv('aes-256-gcm', subkey, nonce, TAG_LENGTH)
  cipher.setAAD(aad)
  const ciphertext = cipher.update(text, 'utf8')
  // Of GCM nothing is left for the end; the call makes the tag.
  cipher.final()
  const length = header.length + NONCE_BYTES + ciphertext.length + TAG_BYTES
  // Nearly always the one that is there already: to make a buffer for each cookie is work for the garbage collector.
  const bytes = length <= SCRATCH.length ? SCRATCH : Buffer.alloc(length)
  bytes.set(header)
  bytes.set(nonce, HEADER_BYTES)
  bytes.set(ciphertext, HEADER_BYTES + NONCE_BYTES)
  bytes.set(cipher.getAuthTag(), length - TAG_BYTES)
  return bytes.toString('base64url', 0, length)
}

const SCRATCH = Buffer.alloc(4096)

/** What all that is sealed on one day has in common. */
interface Sealing {
  readonly day: number
  readonly subkey: KeyObject
  readonly header: Buffer
  readonly aad: Buffer
}

const sealings = new WeakMap<SealContext, Sealing>()

function sealingOf (context: SealContext, day: number): Sealing {
  const known = sealings.get(context)
  if (known?.day === day) return known
  const { ring, cookieName, purpose } = context
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(VERSION)
  ring.sealing.id.copy(header, 1)
  header.writeUInt32BE(day, DAY_OFFSET)
  const sealing = { day, subkey: ring.subkey(ring.sealing, { cookieName, purpose, day }), header, aad: authenticated(header, context) }
  sealings.set(context, sealing)
  return sealing
}

/** Opens what `seal` made in the same context, or says why not. Never throws, whatever the value. */
export function open (context: SealContext, value: string, now: number): Unsealed {
  const { ring, cookieName, purpose, longestAge } = context
  const bytes = Buffer.from(value, 'base64url')
  // Node's decoder skips what it does not know and drops spare bits: only the one canonical spelling is accepted.
  if (bytes.length < SMALLEST || bytes.toString('base64url') !== value) return { refused: 'malformed' }
  const header = bytes.subarray(0, HEADER_BYTES)
  if (header.readUInt8() !== VERSION) return { refused: 'unknown-version' }
  const key = ring.find(header.subarray(1, DAY_OFFSET))
  if (key === undefined) return { refused: 'unknown-key' }

  // Before any derivation, so that nobody can have sub-keys made for days of their choice.
  const day = header.readUInt32BE(DAY_OFFSET)
  if (day * SECONDS_OF_A_DAY > now + CLOCK_SKEW) return { refused: 'day-in-future' }
  if ((day + 1) * SECONDS_OF_A_DAY + longestAge <= now) return { refused: 'expired' }

  const text = decrypt(ring.subkey(key, { cookieName, purpose, day }), bytes, authenticated(header, context))
  return text === undefined ? { refused: 'tampered' } : { text, keyId: key.id, isKeyRetired: key !== ring.sealing }
}

// Twelve bytes cost nearly as much as some thousand, so they are drawn in bulk. None is used twice.
const nonces = Buffer.alloc(NONCE_BYTES * 256)
let nextOffset = nonces.length

function nextNonce (): Buffer {
  if (nextOffset === nonces.length) {
    randomFillSync(nonces)
    nextOffset = 0
  }
  nextOffset += NONCE_BYTES
  return nonces.subarray(nextOffset - NONCE_BYTES, nextOffset)
}

function decrypt (subkey: KeyObject, bytes: Buffer, aad: Buffer): string | undefined {
  const nonce = bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', subkey, nonce, TAG_LENGTH)
  decipher.setAAD(aad)
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  const text = decipher.update(bytes.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES))
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function authenticated (header: Buffer, { cookieName, application }: SealContext): Buffer {
  return Buffer.concat([header, Buffer.from(JSON.stringify([cookieName, application]))])
}
