import { createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto'
import { configurationError, KeyInvalid } from '../errors.js'

export const KEY_BYTES = 32
export const KEY_ID_BYTES = 8

/** Entries of a ring's cache of sub-keys. A live session needs one for each key and day within the idle timeout. */
const MOST_SUBKEYS = 128

export interface RingKey {
  /** The first bytes of what HKDF-SHA256 makes of the key: says which key it was, and nothing about it. */
  readonly id: Buffer
  readonly secret: KeyObject
}

/** What a sub-key is for: one of them opens nothing of another. */
export interface SubkeyUse {
  readonly cookieName: string
  readonly purpose: string
  /** Days since 1970-01-01 UTC. */
  readonly day: number
}

export interface KeyRing {
  /** The first key: all sealing is done with it. */
  readonly sealing: RingKey
  /** The first and the retired ones. */
  readonly all: readonly RingKey[]
  /** The key with this id, the first or a retired one. */
  find (id: Buffer): RingKey | undefined
  /** The AES-256 key for one use, remembered. */
  subkey (key: RingKey, use: SubkeyUse): KeyObject
}

/** Makes a new key: 32 random bytes in base64. */
export function generateKey (): string {
  return randomBytes(KEY_BYTES).toString('base64')
}

/** A ring of keys of 32 bytes each: the first seals, all open. Throws `FST_KEEP_SECURE_SESSION_KEY_INVALID` if one is there twice. */
export function createKeyRing (keys: readonly [Buffer, ...Buffer[]]): KeyRing {
  const [first, ...retired] = keys
  const sealing = ringKey(first)
  const byId = new Map([[hex(sealing.id), sealing]])
  for (const key of retired.map(ringKey)) {
    if (byId.has(hex(key.id))) throw configurationError(new KeyInvalid('the ring of keys', 'has the same key twice'))
    byId.set(hex(key.id), key)
  }
  const subkeys = new Map<string, KeyObject>()

  return {
    sealing,
    all: [...byId.values()],
    find: id => byId.get(hex(id)),
    subkey (key, use) {
      const name = `${hex(key.id)} ${infoOf(use)}`
      const known = subkeys.get(name)
      if (known !== undefined) return known
      const made = deriveSubkey(key, use)
      // A Map keeps the order of insertion: the first entry is the oldest, most often of a day gone by.
      if (subkeys.size >= MOST_SUBKEYS) subkeys.delete(subkeys.keys().next().value as string)
      subkeys.set(name, made)
      return made
    },
  }
}

/** HKDF-SHA256 (RFC 5869) of the key, without salt, with the use as info. */
export function deriveSubkey (key: RingKey, use: SubkeyUse): KeyObject {
  return createSecretKey(hkdf(key.secret, infoOf(use), KEY_BYTES))
}

function ringKey (key: Buffer): RingKey {
  const secret = createSecretKey(key)
  return { id: hkdf(secret, 'fastkeep secure-session v1 key id', KEY_ID_BYTES), secret }
}

// As JSON no two uses give the same text, whatever is in the names.
function infoOf ({ cookieName, purpose, day }: SubkeyUse): string {
  return JSON.stringify(['fastkeep secure-session v1', purpose, cookieName, day])
}

function hkdf (secret: KeyObject, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', info, bytes))
}

function hex (id: Buffer): string {
  return id.toString('hex')
}
