import { randomBytes } from 'node:crypto'

/** 128 bits, the least that CSP3 asks for: https://w3c.github.io/webappsec-csp/#security-nonces */
const NONCE_BYTES = 16

/** A new nonce in base64, 24 characters. */
export function createNonce (): string {
  return randomBytes(NONCE_BYTES).toString('base64')
}
