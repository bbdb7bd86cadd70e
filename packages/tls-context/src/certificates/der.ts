/**
 * The distinguished encoding rules of ASN.1 (ITU-T X.690), as far as X.509 certificates need them. Each function
 * gives the whole encoding of one value: tag, length, contents.
 */

export function tagged (tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(content.length)]), content])
}

function lengthOctets (length: number): number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff)
  return [0x80 | octets.length, ...octets]
}

export const sequence = (...items: readonly Uint8Array[]): Buffer => tagged(0x30, ...items)

export const set = (...items: readonly Uint8Array[]): Buffer => tagged(0x31, ...items)

/** A `[number]` that wraps other values: EXPLICIT, or IMPLICIT in place of a SEQUENCE's own tag. */
export const constructed = (number: number, ...items: readonly Uint8Array[]): Buffer => tagged(0xa0 | number, ...items)

/** A `[number] IMPLICIT` in place of the tag of a value that holds no others. */
export const primitive = (number: number, content: Uint8Array): Buffer => tagged(0x80 | number, content)

export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0x00]))

/** An unsigned integer of any length, most significant byte first. */
export function integer (...bytes: readonly number[]): Buffer {
  const first = bytes.findIndex(byte => byte !== 0)
  const significant = first === -1 ? [0] : bytes.slice(first)
  const isNegativeLooking = (significant[0] ?? 0) >= 0x80
  return tagged(0x02, Buffer.from(isNegativeLooking ? [0, ...significant] : significant))
}

export const bitString = (content: Uint8Array, unusedBits = 0): Buffer => tagged(0x03, Buffer.from([unusedBits]), content)

export const octetString = (content: Uint8Array): Buffer => tagged(0x04, content)

export const utf8String = (text: string): Buffer => tagged(0x0c, Buffer.from(text))

/** @example objectIdentifier('2.5.29.17') */
export function objectIdentifier (dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

function base128 (value: number): number[] {
  const octets = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) octets.unshift(0x80 | (rest & 0x7f))
  return octets
}

/** UTCTime through the year 2049, GeneralizedTime from 2050 on, in whole seconds (RFC 5280 section 4.1.2.5). */
export function time (date: Date): Buffer {
  const digits = date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : tagged(0x18, Buffer.from(`${digits}Z`))
}
