import type { CookieSerializeOptions } from '@fastify/cookie'
import { cookieSecretFrom, KEY_BYTES, keyFromSecret, SALT_BYTES } from './legacy-key.js'

/** The options of @fastify/secure-session 8. */
export interface SecureSessionPluginOptions {
  /** 32 bytes, or these in base64; of several the first seals. */
  readonly key?: string | Buffer | ReadonlyArray<string | Buffer>
  /** At least 32 bytes, of which a key is made by Argon2id: seconds at the start on Node before 24.7. */
  readonly secret?: string | Buffer
  /** 16 bytes. */
  readonly salt?: string | Buffer
  readonly sessionName?: string
  readonly cookieName?: string
  /** Seconds. Default 86401. */
  readonly expiry?: number
  readonly cookie?: CookieSerializeOptions
  readonly cookieOptions?: CookieSerializeOptions
}

export interface LegacySettings {
  readonly sessionName: string
  readonly cookieName: string
  /** Seconds. */
  readonly expiry: number
  readonly cookieOptions: CookieSerializeOptions
  readonly keys: readonly [Buffer, ...Buffer[]]
  /** For @fastify/cookie, where it is not registered yet. */
  readonly cookieSecret: string | Buffer
}

/** The salt that @fastify/secure-session uses where none is given. */
const COMMON_SALT = Buffer.from('mq9hDxBVDbspDR6nLfFT1g==', 'base64')

/** Checks the options as @fastify/secure-session does, with its words. */
export function legacySettingsFrom (options: SecureSessionPluginOptions): LegacySettings {
  const { sessionName = 'session', key, secret } = options
  const [keys, cookieSecret] = key !== undefined ? fromKey(key) : secret !== undefined ? fromSecret(secret, options.salt) : missing()
  return {
    sessionName,
    cookieName: options.cookieName ?? sessionName,
    expiry: options.expiry || 86401,
    cookieOptions: { httpOnly: true, ...options.cookieOptions ?? options.cookie },
    keys,
    cookieSecret,
  }
}

function fromSecret (secret: string | Buffer, salt: string | Buffer = COMMON_SALT): [keys: [Buffer], cookieSecret: string | Buffer] {
  if (Buffer.byteLength(secret) < 32) throw new Error('secret must be at least 32 bytes')
  const saltBytes = Buffer.isBuffer(salt) ? salt : Buffer.from(salt, 'ascii')
  if (saltBytes.length !== SALT_BYTES) throw new Error(`salt must be length ${SALT_BYTES}`)
  return [[keyFromSecret(Buffer.from(secret), saltBytes)], secret]
}

function fromKey (key: NonNullable<SecureSessionPluginOptions['key']>): [keys: [Buffer, ...Buffer[]], cookieSecret: string] {
  const candidates = Array.isArray(key) ? key.map(bytesOf) : [single(key)]
  const [first, ...others] = candidates.filter(candidate => candidate.length === KEY_BYTES)
  if (first === undefined) throw new Error(Array.isArray(key) ? `key lengths must be ${KEY_BYTES} bytes` : `key must be ${KEY_BYTES} bytes`)
  const distinct = others.filter((other, index) => ![first, ...others.slice(0, index)].some(earlier => earlier.equals(other)))
  return [[first, ...distinct], cookieSecretFrom(first)]
}

function single (key: unknown): Buffer {
  if (typeof key === 'string') return Buffer.from(key, 'base64')
  if (Buffer.isBuffer(key)) return key
  throw new Error('key must be a string or a Buffer')
}

function bytesOf (key: unknown): Buffer {
  if (Buffer.isBuffer(key)) return key
  if (typeof key === 'string') return Buffer.from(key, 'base64')
  throw new TypeError('Key must be string or buffer')
}

function missing (): never {
  throw new Error('key or secret must specified')
}
