import createError, { type FastifyError, type FastifyErrorConstructor } from '@fastify/error'
import { optionChecker } from '@fastkeep/options'

const prefix = 'FST_KEEP_TLS_CONTEXT_'

const whats = [
  'FILE_NOT_FOUND',
  'FILE_NOT_READABLE',
  'NOT_PEM',
  'CERTIFICATE_INVALID',
  'CERTIFICATE_EXPIRED',
  'CERTIFICATE_NOT_YET_VALID',
  'LEAF_NOT_FIRST',
  'KEY_INVALID',
  'KEY_MISMATCH',
  'PASSPHRASE_MISSING',
  'PASSPHRASE_WRONG',
  'CONTEXT_REFUSED',
  'DIRECTORY_TAKEN',
  'DIRECTORY_NOT_USABLE',
] as const

type What = typeof whats[number]

/** The codes of this package's errors, besides the two of a wrong option. */
export type TlsContextErrorCode = `${typeof prefix}${What}`

/** A certificate, key or directory that cannot be used. `exitCode` is EX_CONFIG of sysexits.h. */
export interface TlsContextError extends FastifyError {
  code: TlsContextErrorCode
  exitCode: 78
}

const constructors = Object.fromEntries(whats.map(what => [what, createError(prefix + what, '%s')])) as Record<What, FastifyErrorConstructor>

export function tlsContextError (what: What, message: string): TlsContextError {
  const error = new constructors[what](`tls-context: ${message}`)
  return Object.assign(error, { code: `${prefix}${what}` as const, exitCode: 78 as const })
}

/** What Node calls the failure, such as ENOENT or ERR_OSSL_BAD_DECRYPT: safe to show, unlike a whole message. */
export function systemCode (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'no code'
}

export const checkOptions = optionChecker('tls-context')
