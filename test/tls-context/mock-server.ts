import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { X509Certificate } from 'node:crypto'
import { type Test } from 'tap'

/** A server that answers ClientHellos and does nothing else, for what no program speaks any more. */
export interface Mock {
  /** By version on the wire, such as 0x0300. */
  readonly suites: Readonly<Record<number, readonly number[]>>
  readonly certPem: string
  readonly chainPem?: string
  readonly hasRenegotiationInfo?: boolean
  readonly compression?: number
  /** The bits of a prime for DHE; default: secp256r1. */
  readonly primeBits?: number
  /** Of SSL 2.0, three octets each. */
  readonly ssl2?: readonly number[]
}

const u16 = (value: number) => Buffer.from([value >> 8 & 255, value & 255])
const u24 = (value: number) => Buffer.from([value >> 16 & 255, value >> 8 & 255, value & 255])
const message = (type: number, body: Buffer) => Buffer.concat([Buffer.from([type]), u24(body.length), body])
const record = (version: number, type: number, body: Buffer) => Buffer.concat([Buffer.from([type]), u16(version), u16(body.length), body])

export async function mockServer (t: Test, mock: Mock): Promise<number> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', chunk => socket.end(answer(mock, chunk)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

function answer (mock: Mock, hello: Buffer): Buffer {
  if (hello.readUInt8(0) !== 22) return hello.readUInt16BE(3) === 2 && mock.ssl2 !== undefined ? ssl2Hello(mock.ssl2, mock.certPem) : Buffer.alloc(0)
  const version = hello.readUInt16BE(9)
  const suitesAt = 43 + 1 + hello.readUInt8(43)
  const offered = Array.from({ length: hello.readUInt16BE(suitesAt) / 2 }, (_value, index) => hello.readUInt16BE(suitesAt + 2 + index * 2))
  // One that asks for TLS 1.3 says so in an extension, after all else.
  const isTls13 = hello.includes(Buffer.from('002b0003020304', 'hex'))
  const suite = isTls13 ? undefined : mock.suites[version]?.find(suite => offered.includes(suite))
  if (suite === undefined) return record(version, 21, Buffer.from([2, 40]))
  const extensions = version > 0x0300 && mock.hasRenegotiationInfo !== false ? Buffer.from('0005ff01000100', 'hex') : Buffer.alloc(0)
  const certificates = [mock.certPem, ...mock.chainPem === undefined ? [] : [mock.chainPem]].map(pem => new X509Certificate(pem).raw).map(der => Buffer.concat([u24(der.length), der]))
  const list = Buffer.concat(certificates)
  return record(version, 22, Buffer.concat([
    message(2, Buffer.concat([u16(version), Buffer.alloc(32, 7), Buffer.from([0]), u16(suite), Buffer.from([mock.compression ?? 0]), extensions])),
    message(11, Buffer.concat([u24(list.length), list])),
    ...mock.primeBits === undefined ? [] : [message(12, Buffer.concat([u16(mock.primeBits / 8), Buffer.alloc(mock.primeBits / 8, 0xff), u16(1), Buffer.from([2]), u16(1), Buffer.from([5])]))],
    message(14, Buffer.alloc(0)),
  ]))
}

function ssl2Hello (suites: readonly number[], certPem: string): Buffer {
  const { raw } = new X509Certificate(certPem)
  const body = Buffer.concat([Buffer.from([4, 0, 1, 0, 2]), u16(raw.length), u16(suites.length * 3), u16(16), raw, ...suites.map(u24), Buffer.alloc(16)])
  return Buffer.concat([u16(0x8000 | body.length), body])
}
