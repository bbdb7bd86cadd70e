import { X509Certificate } from 'node:crypto'
import type { NameAttribute } from '../certificates/distinguished-name.js'
import { factsOf, isReadable } from '../certificates/certificate-facts.js'
import { pemOf } from '../certificates/pem.js'
import type { TlsConnection } from '../connection.js'

/** The attributes of a name that mod_ssl has a variable for. */
const attributeTypes = new Set(['C', 'ST', 'L', 'O', 'OU', 'CN', 'T', 'I', 'G', 'S', 'D', 'UID', 'Email'])

/**
 * A connection in the names of Apache's mod_ssl, as CherryPy and others hand them to applications: `SSL_PROTOCOL`,
 * `SSL_CIPHER`, `SSL_CLIENT_VERIFY`, `SSL_CLIENT_S_DN_CN`, `SSL_CLIENT_SAN_DNS_0` and so on. A name that occurs more than
 * once has `_0`, `_1` too. `SSL_CLIENT_V_REMAIN` is in whole days from now.
 *
 * @param connection `request.tls`
 * @see https://httpd.apache.org/docs/2.4/mod/mod_ssl.html#envvars
 * @example sslVariables(request.tls).SSL_CLIENT_S_DN_CN // 'alice'
 */
export function sslVariables (connection: TlsConnection | null): Record<string, string> {
  if (connection === null) return {}
  const { protocol, cipher, servername, resumed, peer } = connection
  return {
    HTTPS: 'on',
    SSL_PROTOCOL: protocol,
    SSL_CIPHER: cipher,
    SSL_SESSION_RESUMED: resumed ? 'Resumed' : 'Initial',
    SSL_COMPRESS_METHOD: 'NULL',
    SSL_SECURE_RENEG: 'true',
    ...servername !== null && { SSL_TLS_SNI: servername },
    SSL_CLIENT_VERIFY: peer === null ? 'NONE' : peer.authorized ? 'SUCCESS' : `FAILED:${peer.authorizationError}`,
    ...peer !== null && {
      ...versionOf(peer.raw),
      SSL_CLIENT_M_SERIAL: peer.serialNumber,
      SSL_CLIENT_V_START: dateText(peer.validFrom),
      SSL_CLIENT_V_END: dateText(peer.validTo),
      SSL_CLIENT_V_REMAIN: String(peer.daysLeft),
      ...nameVariables('SSL_CLIENT_S_DN', peer.subject),
      ...nameVariables('SSL_CLIENT_I_DN', peer.issuer),
      ...numbered('SSL_CLIENT_SAN_DNS', peer.dns),
      ...numbered('SSL_CLIENT_SAN_Email', peer.email),
      SSL_CLIENT_CERT: pemOf('CERTIFICATE', peer.raw),
    },
  }
}

function versionOf (raw: Buffer): { SSL_CLIENT_M_VERSION?: string } {
  const certificate = new X509Certificate(raw)
  return isReadable(certificate) ? { SSL_CLIENT_M_VERSION: String(factsOf(certificate).version) } : {}
}

/** As OpenSSL prints it: `Nov  2 09:27:52 2026 GMT`. */
function dateText (date: Date): string {
  const [, day = '', month = '', year = '', time = ''] = date.toUTCString().split(' ')
  return `${month} ${day.replace(/^0/, ' ')} ${time} ${year} GMT`
}

/** The whole name as in RFC 2253: the last attribute first, separators escaped. */
function nameVariables (prefix: string, name: readonly NameAttribute[]): Record<string, string> {
  const variables: Record<string, string> = { [prefix]: name.toReversed().map(({ type, value }) => `${type}=${escaped(value)}`).join(',') }
  for (const type of new Set(name.map(({ type }) => type).filter(type => attributeTypes.has(type)))) {
    const values = name.filter(attribute => attribute.type === type).map(({ value }) => value)
    variables[`${prefix}_${type}`] = values[0] ?? ''
    if (values.length > 1) Object.assign(variables, numbered(`${prefix}_${type}`, values))
  }
  return variables
}

function escaped (value: string): string {
  return value.replaceAll(/[\\,+"<>;]/g, '\\$&').replace(/^[ #]/, '\\$&').replace(/ $/, '\\ ')
}

function numbered (prefix: string, values: readonly string[]): Record<string, string> {
  return Object.fromEntries(values.map((value, index) => [`${prefix}_${index}`, value]))
}
