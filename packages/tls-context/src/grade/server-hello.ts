import { createHash } from 'node:crypto'
import { versions } from './client-hello.js'

/** What a server answers to a ClientHello. */
export type Answer = ServerHello | { readonly kind: 'alert', readonly description: number } | { readonly kind: 'nothing' }

export interface ServerHello {
  readonly kind: 'hello'
  readonly version: number
  readonly suite: number
  /** The group that the server chose, where it has told one. */
  readonly group: number | undefined
  /** Of the prime of finite field Diffie-Hellman, up to TLS 1.2. */
  readonly primeBits: number | undefined
  readonly compression: number
  readonly extensions: ReadonlySet<number>
  /** As they were sent, in DER. */
  readonly certificates: readonly Buffer[]
  /** Everything up to ServerHelloDone has come; over TLS 1.3, that the server asks for a key share. */
  readonly isComplete: boolean
}

const recordTypes = { alert: 21, handshake: 22 }
const handshakeTypes = { serverHello: 2, certificate: 11, serverKeyExchange: 12, serverHelloDone: 14 }
const extensionTypes = { supportedVersions: 43, keyShare: 51 }
const helloRetryRequest = createHash('sha256').update('HelloRetryRequest').digest()
const namedCurve = 3
/** TLS_(EC)DHE_PSK suites send a hint before their parameters, which is not looked through. */
const maxBytes = 262_144

/** What the bytes say that have come so far, or `undefined` where that takes more. Bytes that are no TLS are nothing. */
export function readAnswer (bytes: Buffer, isOfDhe: (suite: number) => 'DHE' | 'ECDHE' | 'other'): Answer | undefined {
  try {
    return read(bytes, isOfDhe)
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'nothing' }
    throw error
  }
}

function read (bytes: Buffer, keyExchangeOf: (suite: number) => 'DHE' | 'ECDHE' | 'other'): Answer | undefined {
  if (bytes.length > maxBytes) return { kind: 'nothing' }
  const handshake: Buffer[] = []
  for (let offset = 0; offset + 5 <= bytes.length;) {
    const [type, length] = [bytes.readUInt8(offset), bytes.readUInt16BE(offset + 3)]
    const content = bytes.subarray(offset + 5, offset + 5 + length)
    if (bytes.readUInt8(offset + 1) !== 3) return { kind: 'nothing' }
    if (type === recordTypes.alert && content.length >= 2) {
      const hello = readHandshake(Buffer.concat(handshake), keyExchangeOf)
      return hello ?? { kind: 'alert', description: content.readUInt8(1) }
    }
    if (type === recordTypes.handshake) handshake.push(content)
    else if (handshake.length === 0) return { kind: 'nothing' }
    if (content.length < length) break
    offset += 5 + length
  }
  return readHandshake(Buffer.concat(handshake), keyExchangeOf)
}

function readHandshake (bytes: Buffer, keyExchangeOf: (suite: number) => 'DHE' | 'ECDHE' | 'other'): ServerHello | undefined {
  let hello: ServerHello | undefined
  for (let offset = 0; offset + 4 <= bytes.length;) {
    const [type, length] = [bytes.readUInt8(offset), bytes.readUIntBE(offset + 1, 3)]
    const body = bytes.subarray(offset + 4, offset + 4 + length)
    if (body.length < length) break
    offset += 4 + length
    if (type === handshakeTypes.serverHello) hello = readServerHello(body)
    else if (hello === undefined) return undefined
    else if (type === handshakeTypes.certificate) hello = { ...hello, certificates: readCertificates(body) }
    else if (type === handshakeTypes.serverKeyExchange) hello = { ...hello, ...readKeyExchange(body, keyExchangeOf(hello.suite)) }
    else if (type === handshakeTypes.serverHelloDone) hello = { ...hello, isComplete: true }
  }
  return hello
}

function readServerHello (body: Buffer): ServerHello {
  const random = body.subarray(2, 34)
  let offset = 35 + body.readUInt8(34)
  const suite = body.readUInt16BE(offset)
  const compression = body.readUInt8(offset + 2)
  offset += 5
  let version = body.readUInt16BE(0)
  let group: number | undefined
  const extensions = new Set<number>()
  while (offset + 4 <= body.length) {
    const [type, length] = [body.readUInt16BE(offset), body.readUInt16BE(offset + 2)]
    extensions.add(type)
    if (type === extensionTypes.supportedVersions) version = body.readUInt16BE(offset + 4)
    if (type === extensionTypes.keyShare && length >= 2) group = body.readUInt16BE(offset + 4)
    offset += 4 + length
  }
  const isComplete = version === versions['TLSv1.3'] && (random.equals(helloRetryRequest) || group !== undefined)
  return { kind: 'hello', version, suite, group, primeBits: undefined, compression, extensions, certificates: [], isComplete }
}

function readCertificates (body: Buffer): Buffer[] {
  const certificates: Buffer[] = []
  for (let offset = 3; offset + 3 <= body.length;) {
    const length = body.readUIntBE(offset, 3)
    certificates.push(body.subarray(offset + 3, offset + 3 + length))
    offset += 3 + length
  }
  return certificates
}

function readKeyExchange (body: Buffer, keyExchange: 'DHE' | 'ECDHE' | 'other'): Partial<ServerHello> {
  if (keyExchange === 'ECDHE' && body.readUInt8(0) === namedCurve) return { group: body.readUInt16BE(1) }
  if (keyExchange !== 'DHE') return {}
  const prime = body.subarray(2, 2 + body.readUInt16BE(0))
  const significant = prime.subarray(Math.max(0, prime.findIndex(octet => octet !== 0)))
  return { primeBits: significant.length === 0 ? 0 : significant.length * 8 - Math.clz32(significant[0] ?? 0) + 24 }
}

/** The suites of a SERVER-HELLO of SSL 2.0 and its certificate, or `undefined` where the bytes are none. */
export function readSsl2Answer (bytes: Buffer): { suites: number[], certificate: Buffer } | undefined {
  if (bytes.length < 13 || (bytes.readUInt8(0) & 0x80) === 0 || bytes.readUInt8(2) !== 4 || bytes.readUInt16BE(5) !== versions.SSLv2) return undefined
  const [certificateLength, suitesLength] = [bytes.readUInt16BE(7), bytes.readUInt16BE(9)]
  if (bytes.length < 13 + certificateLength + suitesLength) return undefined
  const suites: number[] = []
  for (let offset = 13 + certificateLength; offset < 13 + certificateLength + suitesLength; offset += 3) suites.push(bytes.readUIntBE(offset, 3))
  return { suites, certificate: bytes.subarray(13, 13 + certificateLength) }
}
