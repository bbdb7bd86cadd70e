import { cipherSuites, ssl2CipherSuites } from './cipher-suites.js'

/** What a cipher suite is, read from its name. */
export interface Suite {
  readonly number: number
  /** IANA's. */
  readonly name: string
  readonly keyExchange: 'ECDHE' | 'DHE' | 'RSA' | 'anonymous' | 'PSK' | 'other'
  readonly authentication: 'RSA' | 'ECDSA' | 'DSS' | 'PSK' | 'none' | 'any'
  /** Of the cipher's key: 0 without encryption, 168 for triple DES. */
  readonly bits: number
  readonly isExport: boolean
  readonly isAead: boolean
  readonly isBlockCipher: boolean
  readonly hasForwardSecrecy: boolean
}

/** The first that matches the cipher's part of the name; export suites have 40 bits whatever it says. */
const ciphers: ReadonlyArray<readonly [pattern: RegExp, bits: number]> = [
  [/NULL|SHA256_SHA256|SHA384_SHA384/, 0],
  [/EXPORT1024/, 56],
  [/EXPORT|_40_|DES40/, 40],
  [/3DES|DES_192_EDE3/, 168],
  [/DES_CBC|DES_64/, 56],
  [/AES_256|CAMELLIA_256|ARIA_256|CHACHA20|28147|KUZNYECHIK|MAGMA/, 256],
  [/AES_128|CAMELLIA_128|ARIA_128|RC4_128|RC2|IDEA|SEED|SM4/, 128],
]

export function suiteOf (number: number, name: string): Suite {
  const [method = '', cipher = name] = name.includes('_WITH_') ? name.split('_WITH_') : ['', name]
  const isTls13 = isTls13Suite(name)
  const isSsl2 = name.startsWith('SSL_CK_')
  const keyExchange = isTls13 || /ECDHE(?!_PSK)/.test(method) ? 'ECDHE' : /anon/.test(method) ? 'anonymous' : /DHE(?!_PSK)/.test(method) ? 'DHE' : /^TLS_RSA(_EXPORT|_FIPS)?$/.test(method) || isSsl2 ? 'RSA' : /PSK|^TLS_SRP/.test(method) ? 'PSK' : method.includes('NULL') ? 'anonymous' : 'other'
  return {
    number,
    name,
    keyExchange,
    authentication: isTls13 ? 'any' : /ECDSA/.test(method) ? 'ECDSA' : /DSS/.test(method) ? 'DSS' : /anon|NULL/.test(method) ? 'none' : /RSA/.test(method) || isSsl2 ? 'RSA' : /PSK/.test(method) ? 'PSK' : 'none',
    bits: /EXPORT/.test(name) ? (/EXPORT1024/.test(name) ? 56 : 40) : ciphers.find(([pattern]) => pattern.test(cipher))?.[1] ?? 128,
    isExport: /EXPORT/.test(name),
    isAead: isTls13 || /GCM|CCM|POLY1305|MGM/.test(cipher),
    isBlockCipher: /CBC/.test(cipher),
    hasForwardSecrecy: isTls13 || /DHE/.test(method),
  }
}

function isTls13Suite (name: string): boolean {
  return !name.includes('_WITH_') && !name.startsWith('SSL_CK_')
}

const all = cipherSuites.map(([number, name]) => suiteOf(number, name))

/** Those of TLS 1.3 that encrypt with what servers have: the registry's integrity-only ones are for other devices. */
export const tls13Suites: readonly Suite[] = all.filter(({ name }) => isTls13Suite(name))
export const tls12Suites: readonly Suite[] = all.filter(({ name }) => !isTls13Suite(name))
export const ssl2Suites: readonly Suite[] = ssl2CipherSuites.map(([number, name]) => suiteOf(number, name))

const byNumber = new Map([...all, ...ssl2Suites].map(suite => [suite.number, suite]))

export function suiteByNumber (number: number): Suite {
  return byNumber.get(number) ?? suiteOf(number, `TLS_UNKNOWN_${number.toString(16).padStart(4, '0')}`)
}
