import { randomBytes } from 'node:crypto'

/** Protocol versions as they stand on the wire. */
export const versions = { SSLv2: 0x0002, SSLv3: 0x0300, TLSv1: 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const

export type ProtocolName = keyof typeof versions

export interface Hello {
  /** The one version that is offered. */
  readonly protocol: Exclude<ProtocolName, 'SSLv2'>
  readonly suites: readonly number[]
  readonly groups: readonly number[]
  /** No address: RFC 6066 allows none. */
  readonly servername: string | undefined
  /** Default: false. Offers DEFLATE, which nobody should take. */
  readonly offersCompression?: boolean
}

const signatureAlgorithms = [
  0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x081a, 0x081b, 0x081c,
  0x0401, 0x0501, 0x0601, 0x0904, 0x0905, 0x0906, 0x0303, 0x0301, 0x0302, 0x0402, 0x0203, 0x0201, 0x0202, 0x0101,
]

const extensionTypes = {
  serverName: 0,
  statusRequest: 5,
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  extendedMasterSecret: 23,
  sessionTicket: 35,
  supportedVersions: 43,
  pskKeyExchangeModes: 45,
  keyShare: 51,
  renegotiationInfo: 0xff01,
} as const

const renegotiationScsv = 0x00ff

/**
 * A ClientHello in its record (RFC 5246 section 7.4.1.2, RFC 8446 section 4.1.2), written by hand because no OpenSSL that
 * Node links speaks everything that a server may. Over TLS 1.3 it has no key share: a server that accepts a suite and a
 * group asks for one, which tells both and costs it no computation.
 */
export function clientHello (hello: Hello): Buffer {
  const { protocol, suites, offersCompression = false } = hello
  const isTls13 = protocol === 'TLSv1.3'
  const isSsl3 = protocol === 'SSLv3'
  // SSL 3.0 has no extensions, and so says by a suite that it knows of secure renegotiation.
  const offered = isSsl3 ? [...suites, renegotiationScsv] : suites
  const body = Buffer.concat([
    u16(Math.min(versions[protocol], versions['TLSv1.2'])),
    randomBytes(32),
    vector(1, isTls13 ? randomBytes(32) : Buffer.alloc(0)),
    vector(2, ...offered.map(u16)),
    vector(1, Buffer.from(offersCompression ? [1, 0] : [0])),
    ...isSsl3 ? [] : [vector(2, ...extensionsOf(hello))],
  ])
  const handshake = Buffer.concat([Buffer.from([1]), u24(body.length), body])
  return Buffer.concat([Buffer.from([22]), u16(isSsl3 ? 0x0300 : 0x0301), vector(2, handshake)])
}

function extensionsOf ({ protocol, groups, servername }: Hello): Buffer[] {
  const extensions: Buffer[] = []
  const add = (type: number, ...content: Buffer[]): void => { extensions.push(u16(type), vector(2, ...content)) }
  if (servername !== undefined) add(extensionTypes.serverName, vector(2, Buffer.from([0]), vector(2, Buffer.from(servername))))
  add(extensionTypes.supportedGroups, vector(2, ...groups.map(u16)))
  add(extensionTypes.signatureAlgorithms, vector(2, ...signatureAlgorithms.map(u16)))
  if (protocol === 'TLSv1.3') {
    add(extensionTypes.supportedVersions, vector(1, u16(versions['TLSv1.3'])))
    add(extensionTypes.pskKeyExchangeModes, vector(1, Buffer.from([1])))
    add(extensionTypes.keyShare, vector(2))
  } else {
    add(extensionTypes.pointFormats, vector(1, Buffer.from([0])))
    add(extensionTypes.statusRequest, Buffer.from([1, 0, 0, 0, 0]))
    add(extensionTypes.extendedMasterSecret)
    add(extensionTypes.sessionTicket)
    add(extensionTypes.renegotiationInfo, vector(1))
  }
  return extensions
}

/** The CLIENT-HELLO of SSL 2.0. */
export function ssl2ClientHello (suites: readonly number[]): Buffer {
  const challenge = randomBytes(16)
  const body = Buffer.concat([Buffer.from([1]), u16(versions.SSLv2), u16(suites.length * 3), u16(0), u16(challenge.length), ...suites.map(u24), challenge])
  return Buffer.concat([u16(0x8000 | body.length), body])
}

function u16 (value: number): Buffer {
  return Buffer.from([value >> 8 & 0xff, value & 0xff])
}

function u24 (value: number): Buffer {
  return Buffer.from([value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff])
}

/** Contents after their length in 1 or 2 octets. */
function vector (lengthOctets: 1 | 2, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([lengthOctets === 1 ? Buffer.from([content.length]) : u16(content.length), content])
}
