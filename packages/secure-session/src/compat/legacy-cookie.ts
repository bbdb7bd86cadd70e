import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js'

const NONCE_BYTES = 24
const TAG_BYTES = 16

export type LegacyOpened =
  | { readonly text: string, /** Sealed with another key than the first. */ readonly isKeyRetired: boolean }
  | { readonly refused: 'short-cipher' | 'nonce-length' | 'tampered' }

/** Whether a value has the form of a cookie of @fastify/secure-session: two parts of base64 with a semicolon between. */
export function isLegacy (value: string): boolean {
  return value.includes(';')
}

/** Opens a cookie of @fastify/secure-session: libsodium's secretbox (XSalsa20-Poly1305) in base64, a semicolon, the nonce. */
export function openLegacy (keys: readonly Uint8Array[], value: string): LegacyOpened {
  const [cipherText = '', nonceText = ''] = value.split(';')
  const cipher = Buffer.from(cipherText, 'base64')
  const nonce = Buffer.from(nonceText, 'base64')
  if (cipher.length < TAG_BYTES) return { refused: 'short-cipher' }
  if (nonce.length !== NONCE_BYTES) return { refused: 'nonce-length' }
  for (const [index, key] of keys.entries()) {
    const text = decrypted(key, nonce, cipher)
    if (text !== undefined) return { text, isKeyRetired: index > 0 }
  }
  return { refused: 'tampered' }
}

function decrypted (key: Uint8Array, nonce: Uint8Array, cipher: Uint8Array): string | undefined {
  try {
    return Buffer.from(xsalsa20poly1305(key, nonce).decrypt(cipher)).toString('utf8')
  } catch {
    return undefined
  }
}
