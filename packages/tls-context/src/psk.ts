import type { TLSSocket } from 'node:tls'
import { nested, type Rule } from '@fastkeep/options'
import { tlsContextError } from './errors.js'

/**
 * Keys that both ends have (RFC 4279, RFC 9258): for a closed fleet, without certificates. Each at least 16 bytes of
 * randomness; a password is none.
 */
export interface PskOptions {
  /** The keys by the identity that a client names, or a function that finds one at once. */
  keys: Readonly<Record<string, Uint8Array>> | ((identity: string) => Uint8Array | undefined)
  /** Told to clients over TLS 1.2, so that they know which identity to use. Default: none. */
  hint?: string
}

/** What OpenSSL speaks with a pre-shared key: over TLS 1.2 with forward secrecy, over TLS 1.3 with SHA-256. */
export const pskCiphers = ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256', 'ECDHE-PSK-CHACHA20-POLY1305'] as const

const fewestBytes = 16
const plainObject = nested({})

export const pskRule: Rule = {
  expected: 'an object with "keys", by identity or a function, and perhaps "hint"',
  isSecret: true,
  accepts: value => {
    if (!plainObject.accepts(value)) return false
    const { keys, hint, ...others } = value as Partial<PskOptions>
    const isKeys = typeof keys === 'function' || (plainObject.accepts(keys) && Object.keys(keys as object).length > 0 && Object.values(keys as object).every(key => key instanceof Uint8Array))
    return isKeys && Object.keys(others).length === 0 && (hint === undefined || typeof hint === 'string')
  },
}

export type PskCallback = (socket: TLSSocket, identity: string) => Uint8Array | null

const identities = new WeakMap<TLSSocket, string>()

/** Throws `PSK_INVALID` for a key that is too short. */
export function pskCallback ({ keys }: PskOptions): PskCallback {
  const byIdentity = typeof keys === 'function' ? undefined : new Map(Object.entries(keys))
  for (const [identity, key] of byIdentity ?? []) assertLongEnough(key, identity)
  return (socket, identity) => {
    const key = byIdentity === undefined ? (keys as (identity: string) => Uint8Array | undefined)(identity) : byIdentity.get(identity)
    // A short key is as good as none, whoever gives it.
    if (key === undefined || key === null || key.length < fewestBytes) return null
    identities.set(socket, identity)
    return key
  }
}

export function assertLongEnough (key: Uint8Array, identity: string): void {
  if (key.length < fewestBytes) throw tlsContextError('PSK_INVALID', `option "psk": the key of ${JSON.stringify(identity)} has ${key.length} bytes, and ${fewestBytes} are the least. Make it with: openssl rand -hex 32`)
}

/** By which key a connection was opened; `undefined` for one with a certificate. */
export function pskIdentityOf (socket: TLSSocket): string | undefined {
  return identities.get(socket)
}
