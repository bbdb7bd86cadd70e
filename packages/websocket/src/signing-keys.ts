import { secret, type Rule } from '@fastkeep/options'

/** One key of a ring, known to both sides. */
export interface SigningKey {
  /** 1 to 16 characters of `A-Z a-z 0-9 _ -`; goes over the wire with each message. */
  readonly id: string
  /** At least 32 bytes; a string counts as its UTF-8 bytes. */
  readonly secret: string | Uint8Array
}

export interface SigningOptions {
  /** The first signs, each verifies. To change keys: add the new one last everywhere, then first, then drop the old one. */
  readonly keys: readonly SigningKey[]
}

const MIN_SECRET_BYTES = 32

/** What `signing.keys` accepts. */
export const signingKeys: Rule = secret({
  expected: `an array, not empty, of { id, secret }: ids of 1 to 16 characters of A-Z, a-z, 0-9, "_" and "-", each once; secrets of at least ${MIN_SECRET_BYTES} bytes`,
  accepts: value => Array.isArray(value) && value.length > 0 && value.every(isKey) && new Set(value.map(({ id }) => id)).size === value.length,
})

function isKey (value: unknown): value is SigningKey {
  const { id, secret } = Object(value) as Partial<Record<keyof SigningKey, unknown>>
  return typeof id === 'string' && /^[\w-]{1,16}$/.test(id) &&
    (typeof secret === 'string' || secret instanceof Uint8Array) && Buffer.byteLength(secret) >= MIN_SECRET_BYTES
}
