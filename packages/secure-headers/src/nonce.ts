import { randomFillSync } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { NonceTooLate } from './errors.js'
import type { CspNonce } from './nonce-views.js'

/** 128 bits, the least that CSP3 asks for: https://w3c.github.io/webappsec-csp/#security-nonces */
const NONCE_BYTES = 16

// One call into the generator costs more than all else that a response pays for its nonce, so it fills many at once.
const pool = Buffer.alloc(NONCE_BYTES * 256)
let used = pool.length

class NonceString extends String implements CspNonce {
  get script (): string {
    return this.valueOf()
  }

  get style (): string {
    return this.valueOf()
  }
}

/** A new nonce of 128 random bits. */
function createNonce (): CspNonce {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const nonce = pool.toString('base64', used, used + NONCE_BYTES)
  // What was given away is not kept where a leak of memory would show it to others.
  pool.fill(0, used, used + NONCE_BYTES)
  used += NONCE_BYTES
  return new NonceString(nonce)
}

const kNonce = Symbol('secure-headers.nonce')

interface ResponseWithNonce extends ServerResponse {
  [kNonce]?: CspNonce
}

/** The nonce of one response where somebody has read it. */
export function nonceRead (response: ResponseWithNonce): CspNonce | undefined {
  return response[kNonce]
}

/**
 * The nonce of one response, made when it is first read.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE` when it is first read after the head was sent
 */
export function nonceOf (response: ResponseWithNonce): CspNonce {
  if (response[kNonce] === undefined) {
    if (response.headersSent) throw new NonceTooLate()
    response[kNonce] = createNonce()
  }
  return response[kNonce]
}
