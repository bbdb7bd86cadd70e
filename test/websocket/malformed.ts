import { randomInt } from 'node:crypto'

/** Bytes that a client may not send, and the close code that they must bring (RFC 6455, 7.4.1). */
export interface Malformed {
  what: string
  bytes: Buffer
  code: number
}

interface FrameParts { fin?: boolean, rsv?: number, opcode: number, payload?: Buffer, masked?: boolean, length?: 'shortest' | 16 | 64, declared?: bigint }

const TEXT = 1
const BINARY = 2
const CONTINUATION = 0
const CLOSE = 8
const PING = 9
const CONTROL = [8, 9, 10]
const RESERVED = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
/** Codes that no close frame may carry (RFC 6455, 7.4), or that nobody has registered. */
const NEVER_SENT = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]
/** Each is wrong at its last byte at the latest: overlong, surrogate, beyond U+10FFFF, stray continuation, cut short. */
const NOT_UTF8 = ['c080', 'e08080', 'eda080', 'f4908080', '80', 'bf', 'fe', 'ff', 'c3', 'e282', 'f09f98', 'c328', 'f0288cbc'].map(hex => Buffer.from(hex, 'hex'))

function frame ({ fin = true, rsv = 0, opcode, payload = Buffer.alloc(0), masked = true, length = 'shortest', declared }: FrameParts): Buffer {
  const size = declared ?? BigInt(payload.length)
  const form = length === 64 || size > 0xffffn ? 127 : length === 16 || size > 125n ? 126 : Number(size)
  const head = Buffer.from([(fin ? 0x80 : 0) | rsv | opcode, (masked ? 0x80 : 0) | form])
  const extended = Buffer.alloc(form === 127 ? 8 : form === 126 ? 2 : 0)
  if (form === 127) extended.writeBigUInt64BE(size)
  if (form === 126) extended.writeUInt16BE(Number(size))
  if (!masked) return Buffer.concat([head, extended, payload])
  const mask = bytes(4)
  return Buffer.concat([head, extended, mask, payload.map((byte, index) => byte ^ (mask[index % 4] as number))])
}

function bytes (length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)))
}

function pick<T> (values: readonly T[]): T {
  return values[randomInt(values.length)] as T
}

/** Some text without an end that could be taken for the beginning of a character. */
function words (): Buffer {
  return Buffer.from(pick(['', 'a', 'grüße ', '日本 ', '😀', 'x'.repeat(randomInt(200))]))
}

function closeFrame (code: number, reason: Buffer): Buffer {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return frame({ opcode: CLOSE, payload: Buffer.concat([payload, reason]) })
}

/** Text in fragments, cut anywhere, with control frames between them as they may come. */
function fragmented (payload: Buffer): Buffer {
  const at = randomInt(payload.length + 1)
  const between = Math.random() < 0.5 ? frame({ opcode: PING, payload: bytes(randomInt(20)) }) : Buffer.alloc(0)
  return Buffer.concat([
    frame({ fin: false, opcode: TEXT, payload: payload.subarray(0, at) }), between, frame({ opcode: CONTINUATION, payload: payload.subarray(at) }),
  ])
}

const begun = () => frame({ fin: false, opcode: pick([TEXT, BINARY]), payload: Buffer.from('x') })

/** @param maxPayload of the server, in bytes */
const KINDS: Readonly<Record<string, (maxPayload: number) => [bytes: Buffer, code: number]>> = {
  'no mask': () => [frame({ opcode: pick([TEXT, BINARY, CLOSE, PING]), payload: Buffer.from('hi'), masked: false }), 1002],
  'a reserved opcode': () => [frame({ opcode: pick(RESERVED), payload: bytes(randomInt(10)) }), 1002],
  'a reserved bit': () => [frame({ rsv: pick([0x10, 0x20, 0x40, 0x50, 0x70]), opcode: pick([TEXT, BINARY, ...CONTROL]) }), 1002],
  'a control frame in fragments': () => [frame({ fin: false, opcode: pick(CONTROL) }), 1002],
  'a long control frame': () => [frame({ opcode: pick(CONTROL), payload: bytes(126 + randomInt(100)) }), 1002],
  'a control frame with a longer length than needed': () => [frame({ opcode: pick(CONTROL), length: pick([16, 64]) }), 1002],
  'a continuation of nothing': () => [frame({ fin: pick([true, false]), opcode: CONTINUATION, payload: bytes(5) }), 1002],
  'a message within another': () => [Buffer.concat([begun(), frame({ fin: pick([true, false]), opcode: pick([TEXT, BINARY]) })]), 1002],
  'a length beyond 2^53': () => [frame({ opcode: pick([TEXT, BINARY]), declared: 2n ** 53n + BigInt(randomInt(2 ** 32)) }), 1009],
  'a length of the most significant bit': () => [frame({ opcode: BINARY, declared: 2n ** 63n + BigInt(randomInt(1000)) }), 1009],
  'a larger message than allowed': maxPayload => [frame({ opcode: pick([TEXT, BINARY]), declared: BigInt(maxPayload + 1 + randomInt(1_000_000)) }), 1009],
  'fragments that are too large together': maxPayload => [Buffer.concat([begun(), frame({ opcode: CONTINUATION, declared: BigInt(maxPayload) })]), 1009],
  'text that is not UTF-8': () => [frame({ opcode: TEXT, payload: Buffer.concat([words(), pick(NOT_UTF8)]) }), 1007],
  'text that is not UTF-8 across fragments': () => [fragmented(Buffer.concat([words(), pick(NOT_UTF8)])), 1007],
  'a close frame of one byte': () => [frame({ opcode: CLOSE, payload: bytes(1) }), 1002],
  'a close code that is never sent': () => [closeFrame(pick(NEVER_SENT), words().subarray(0, 0)), 1002],
  'a close reason that is not UTF-8': () => [closeFrame(1000, pick(NOT_UTF8)), 1007],
}

export const KIND_NAMES = Object.keys(KINDS)

/** One malformed input of the kind, after a few frames that are right. */
export function malformed (kind: string, maxPayload: number): Malformed {
  const [wrong, code] = (KINDS[kind] as (maxPayload: number) => [Buffer, number])(maxPayload)
  const right = Array.from({ length: randomInt(3) }, () => pick([
    () => frame({ opcode: TEXT, payload: words() }), () => frame({ opcode: BINARY, payload: bytes(randomInt(50)) }),
    () => frame({ opcode: PING, payload: bytes(randomInt(20)) }), () => fragmented(Buffer.from('grüße')),
  ])())
  return { what: kind, bytes: Buffer.concat([...right, wrong]), code }
}
