import { createHmac, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { FastifyRequest } from 'fastify'

export interface CsrfOptions {
  /** Origins besides this one whose pages may act for who is logged in, such as `https://admin.example.com`. Default none. */
  readonly origins?: readonly string[]
  /**
   * A request that tells neither `Sec-Fetch-Site` nor `Origin`, as programs and browsers of before 2020 send it, needs
   * the header `x-csrf-token` or the field `_csrf` of its body, with what `session.csrfToken()` gave. Default `false`.
   */
  readonly requireToken?: boolean
}

/** RFC 9110 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export function isSafe (method: string): boolean {
  return SAFE_METHODS.has(method)
}

/**
 * Whether a request was made by a page of this origin, of another, or by something that does not tell.
 * Go by Fetch Metadata (W3C), and where a browser has none by the Origin header, as Go's `CrossOriginProtection` does.
 */
export function provenance (request: FastifyRequest, origins: ReadonlySet<string>): 'own' | 'foreign' | 'untold' {
  const site = request.headers['sec-fetch-site']
  const { origin } = request.headers
  if (site === 'same-origin' || site === 'none') return 'own'
  if (site === undefined && origin === undefined) return 'untold'
  if (origin !== undefined && origins.has(origin)) return 'own'
  return site === undefined && isOwnOrigin(origin, request) ? 'own' : 'foreign'
}

// A proxy that ends TLS without "trustProxy" hides the scheme; then the host alone decides.
function isOwnOrigin (origin: string | undefined, { host, protocol }: FastifyRequest): boolean {
  const schemes = protocol === 'https' ? ['https'] : ['http', 'https']
  return host !== '' && schemes.some(scheme => origin === `${scheme}://${host}`)
}

const MASK_BYTES = 16

/** A token for a session's id, by the first key: random bytes, and an HMAC-SHA256 over them and the id. */
export function csrfToken ([key]: readonly KeyObject[], id: string): string {
  const mask = randomBytes(MASK_BYTES)
  return Buffer.concat([mask, macOf(key as KeyObject, mask, id)]).toString('base64url')
}

/** Whether a token was made with any of the keys for this id. */
export function isCsrfToken (keys: readonly KeyObject[], id: string, token: unknown): boolean {
  if (typeof token !== 'string') return false
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length !== MASK_BYTES + 32) return false
  return keys.some(key => timingSafeEqual(bytes.subarray(MASK_BYTES), macOf(key, bytes.subarray(0, MASK_BYTES), id)))
}

/** What a request has for a token: a header, or a field of its body. */
export function tokenOf ({ headers, body }: FastifyRequest): unknown {
  return headers['x-csrf-token'] ?? (typeof body === 'object' && body !== null ? Reflect.get(body, '_csrf') : undefined)
}

function macOf (key: KeyObject, mask: Buffer, id: string): Buffer {
  return createHmac('sha256', key).update(mask).update(id).digest()
}
