import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Rule } from '@fastkeep/options'
import { factsOf } from './certificate-facts.js'
import { primitive } from './der.js'

/** A name of a certificate, after GeneralName of RFC 5280 section 4.2.1.6. */
export interface GeneralName {
  readonly type: 'dNSName' | 'iPAddress'
  /** The name's ASCII, or the address's 4 or 16 bytes. */
  readonly content: Buffer
}

const tags = { dNSName: 2, iPAddress: 7 }

const hostName = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i

/** A host name in ASCII without wildcard and final dot, or an IP address without zone. */
export const name: Rule = {
  expected: 'a host name in ASCII without wildcard, or an IP address',
  accepts: value => typeof value === 'string' && (hostName.test(value) || (isIP(value) !== 0 && !value.includes('%'))),
}

/** Of a name that the rule accepts. */
export function generalName (text: string): GeneralName {
  switch (isIP(text)) {
    case 4: return { type: 'iPAddress', content: Buffer.from(text.split('.').map(Number)) }
    case 6: return { type: 'iPAddress', content: ipv6Bytes(text) }
    default: return { type: 'dNSName', content: Buffer.from(text.toLowerCase()) }
  }
}

export function encodeGeneralName ({ type, content }: GeneralName): Buffer {
  return primitive(tags[type], content)
}

function ipv6Bytes (address: string): Buffer {
  // The URL parser's form has hexadecimal groups alone, even where the address ends in dotted decimals.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = [], tail = []] = canonical.split('::').map(half => half.split(':').filter(group => group !== ''))
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
  return Buffer.from(groups.map(group => group.padStart(4, '0')).join(''), 'hex')
}

/** The DNS names and after them the IP addresses of the subjectAltName. */
export function namesOf (certificate: X509Certificate): string[] {
  const { dns, ip } = factsOf(certificate).names
  return [...dns, ...ip]
}
