// Makes src/grade/cipher-suites.ts of IANA's registry "TLS Cipher Suites" in CSV, as its site offers it for download:
//   node scripts/cipher-suites.js tls-parameters-4.csv 2023-01
import { readFileSync, writeFileSync } from 'node:fs'

const [, , path, date] = process.argv
const rows = readFileSync(path, 'utf8').split(/\r?\n/)
  .map(line => /^"0x([0-9A-F]{2}),0x([0-9A-F]{2})",(TLS_\w+)/.exec(line))
  .filter(match => match !== null && !match[3].endsWith('_SCSV'))
  .map(([, high, low, name]) => `  [0x${high.toLowerCase()}${low.toLowerCase()}, '${name}'],`)

writeFileSync(new URL('../src/grade/cipher-suites.ts', import.meta.url), `/**
 * IANA's registry of TLS cipher suites as of ${date}, without signalling values: number and name. Made by
 * scripts/cipher-suites.js; what a suite is worth follows from its name.
 *
 * @see https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4
 */
export const registryDate = '${date}'

export const cipherSuites: ReadonlyArray<readonly [number: number, name: string]> = [
${rows.join('\n')}
]

/** The three octets of SSL 2.0, which no registry lists (draft-hickman-netscape-ssl-00 section C.4). */
export const ssl2CipherSuites: ReadonlyArray<readonly [number: number, name: string]> = [
  [0x010080, 'SSL_CK_RC4_128_WITH_MD5'],
  [0x020080, 'SSL_CK_RC4_128_EXPORT40_WITH_MD5'],
  [0x030080, 'SSL_CK_RC2_128_CBC_WITH_MD5'],
  [0x040080, 'SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5'],
  [0x050080, 'SSL_CK_IDEA_128_CBC_WITH_MD5'],
  [0x060040, 'SSL_CK_DES_64_CBC_WITH_MD5'],
  [0x0700c0, 'SSL_CK_DES_192_EDE3_CBC_WITH_MD5'],
]
`)
