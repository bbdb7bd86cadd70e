/** Reading of ASN.1 in its distinguished encoding (ITU-T X.690), as far as X.509, PKCS#8, PKCS#12, CRL and OCSP need it. */

export interface DerValue {
  /** Class, form and number in one octet. */
  readonly tag: number
  readonly content: Buffer
  /** The whole encoding: tag, length, contents. */
  readonly raw: Buffer
}

/** Bytes that are no DER: cut off, of indefinite length, or with a tag of more than one octet. */
export class DerError extends Error {}

/** The value that begins at `offset`; what follows it is left alone. Throws `DerError`. */
export function readDer (bytes: Uint8Array, offset = 0): DerValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tag = buffer[offset]
  const first = buffer[offset + 1]
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new DerError('no DER value')
  const lengthOctets = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || lengthOctets > 4 || offset + 2 + lengthOctets > buffer.length) throw new DerError('no DER length')
  const length = lengthOctets === 0 ? first : buffer.readUIntBE(offset + 2, lengthOctets)
  const start = offset + 2 + lengthOctets
  if (start + length > buffer.length) throw new DerError('a DER value is cut off')
  return { tag, content: buffer.subarray(start, start + length), raw: buffer.subarray(offset, start + length) }
}

/** The values in a SEQUENCE, a SET or a constructed `[number]`. */
export function itemsOf ({ content }: Pick<DerValue, 'content'>): DerValue[] {
  const items: DerValue[] = []
  for (let offset = 0; offset < content.length;) {
    const item = readDer(content, offset)
    items.push(item)
    offset += item.raw.length
  }
  return items
}

/** The item at `index`; throws `DerError` where there are fewer. */
export function itemOf (value: Pick<DerValue, 'content'>, index: number): DerValue {
  const item = itemsOf(value)[index]
  if (item === undefined) throw new DerError(`item ${index} of a DER value is missing`)
  return item
}

/** @example readObjectIdentifier(value) // '2.5.29.17' */
export function readObjectIdentifier ({ tag, content }: DerValue): string {
  if (tag !== 0x06) throw new DerError('no OBJECT IDENTIFIER')
  const arcs: number[] = []
  let arc = 0
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f)
    if (octet >= 0x80) continue
    arcs.push(arc)
    arc = 0
  }
  const [first = 0, ...rest] = arcs
  const root = Math.min(2, Math.floor(first / 40))
  return [root, first - root * 40, ...rest].join('.')
}

/** An INTEGER that fits in a number. */
export function readInteger ({ tag, content }: DerValue): number {
  if (tag !== 0x02 || content.length === 0 || content.length > 6) throw new DerError('no small INTEGER')
  return content.readIntBE(0, content.length)
}

/** UTCTime or GeneralizedTime. */
export function readTime ({ tag, content }: DerValue): Date {
  const text = content.toString('latin1')
  const match = tag === 0x17
    ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?Z$/.exec(text)
    : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(?:\.\d+)?Z$/.exec(text)
  if (match === null) throw new DerError('no time')
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map(digits => Number(digits ?? 0))
  // RFC 5280 section 4.1.2.5.1: two digits from 50 on are of the last century.
  const century = tag === 0x17 ? (year >= 50 ? 1900 : 2000) : 0
  return new Date(Date.UTC(century + year, month - 1, day, hour, minute, second))
}

const characterSets: Readonly<Record<number, BufferEncoding>> = {
  0x0c: 'utf8', // UTF8String
  0x13: 'latin1', // PrintableString
  0x14: 'latin1', // TeletexString
  0x16: 'latin1', // IA5String
  0x1a: 'latin1', // VisibleString
}

/** A character string of any of the types that names are written in. */
export function readText ({ tag, content }: DerValue): string {
  // BMPString is big-endian, Node knows the other order alone.
  if (tag === 0x1e && content.length % 2 !== 0) throw new DerError('half a character')
  if (tag === 0x1e) return Buffer.from(content).swap16().toString('utf16le')
  return content.toString(characterSets[tag] ?? 'latin1')
}
