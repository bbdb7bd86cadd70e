import type { Publication } from '../publication.js'

/** Bytes of the name by which a process knows its own publications. */
export const ORIGIN_SIZE = 16

const KINDS: readonly Publication['kind'][] = ['text', 'json', 'binary']
const NO_KEY = 0xffff

/** A publication as a message of Redis: kind (1 byte), origin (16), length of the key (2, big-endian), key, payload. */
export function encode ({ kind, payload, key }: Publication, origin: Buffer): Buffer {
  const head = Buffer.alloc(1 + ORIGIN_SIZE + 2)
  head[0] = KINDS.indexOf(kind)
  origin.copy(head, 1)
  const keyBytes = Buffer.from(key ?? '')
  head.writeUInt16BE(key === undefined ? NO_KEY : keyBytes.length, 1 + ORIGIN_SIZE)
  return Buffer.concat([head, keyBytes, typeof payload === 'string' ? Buffer.from(payload) : payload])
}

/** @returns `undefined` for what is no publication of another process */
export function decode (topic: string, message: Buffer, origin: Buffer): Publication | undefined {
  const start = 1 + ORIGIN_SIZE + 2
  const kind = KINDS[message[0] ?? KINDS.length]
  if (kind === undefined || message.length < start || message.subarray(1, 1 + ORIGIN_SIZE).equals(origin)) return undefined
  const keyLength = message.readUInt16BE(1 + ORIGIN_SIZE)
  const key = keyLength === NO_KEY ? undefined : message.toString('utf8', start, start + keyLength)
  const payload = message.subarray(start + (keyLength === NO_KEY ? 0 : keyLength))
  return { topic, kind, payload: kind === 'binary' ? payload : payload.toString('utf8'), key }
}
