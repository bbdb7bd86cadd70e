import createError, { type FastifyError, type FastifyErrorConstructor } from '@fastify/error'
import { optionChecker } from '@fastkeep/options'
import { severities, type Finding, type FindingCode } from './certificates/finding.js'

const prefix = 'FST_KEEP_TLS_CONTEXT_'

const whats = [
  'FILE_NOT_FOUND',
  'FILE_NOT_READABLE',
  'NOT_PEM',
  'CERTIFICATE_MISSING',
  'CERTIFICATE_INVALID',
  'KEY_INVALID',
  'PFX_INVALID',
  'PFX_LEGACY',
  'PASSPHRASE_MISSING',
  'PASSPHRASE_WRONG',
  'CIPHER_UNKNOWN',
  'GROUP_UNKNOWN',
  'SIGNATURE_ALGORITHM_UNKNOWN',
  'PROTOCOL_RANGE',
  'NAME_OPTION_REFUSED',
  'CONTEXT_REFUSED',
  'TRIAL_FAILED',
  'STAPLE_MISSING',
  'TICKET_SECRET_SHORT',
  'TICKETS_NOT_SUPPORTED',
  'PSK_INVALID',
  'ROUTE_REFUSED',
  'PIN_MISMATCH',
  'PEER_REFUSED',
  'EXPIRES_TOO_SOON',
  'HANDSHAKE_TIMEOUT',
  'TLS_REQUIRED',
  'SCAN_FAILED',
  'DIRECTORY_TAKEN',
  'DIRECTORY_NOT_USABLE',
] as const

type What = typeof whats[number] | FindingCode

/** The codes of this package's errors, besides the two of a wrong option. */
export type TlsContextErrorCode = `${typeof prefix}${What}`

/** A certificate, key, directory or peer that cannot be used. `exitCode` is EX_CONFIG of sysexits.h. */
export interface TlsContextError extends FastifyError {
  code: TlsContextErrorCode
  exitCode: 78
  /** What a check found, where that is the reason. */
  finding?: Finding
}

const constructors = Object.fromEntries([...whats, ...Object.keys(severities)].map(what => [what, createError(prefix + what, '%s')])) as Record<What, FastifyErrorConstructor>

export function tlsContextError (what: What, message: string, cause?: unknown): TlsContextError {
  const error = new constructors[what](`tls-context: ${message}`)
  if (cause !== undefined) error.cause = cause
  return Object.assign(error, { code: `${prefix}${what}` as const, exitCode: 78 as const })
}

/** The error that a finding is when it stops a start. */
export function errorOf (finding: Finding): TlsContextError {
  return Object.assign(tlsContextError(finding.code, `${finding.message}: ${finding.fix}`), { finding })
}

export function isTlsContextError (error: unknown): error is TlsContextError {
  return error instanceof Error && String((error as Partial<TlsContextError>).code).startsWith(prefix)
}

/** What Node calls the failure, such as ENOENT or ERR_OSSL_BAD_DECRYPT: safe to show, unlike a whole message. */
export function systemCode (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'no code'
}

export const checkOptions = optionChecker('tls-context')

const clientErrors = {
  CLIENT_CERT_MISSING: [401, 'this route needs a client certificate, and the connection came without one'],
  CLIENT_CERT_UNAUTHORIZED: [403, 'the client certificate is not trusted: %s'],
  CLIENT_CERT_REFUSED: [403, 'the client certificate is not one of those that may use this route: %s'],
  MISDIRECTED: [421, 'this connection was opened for another name; open one for the name that is asked for'],
} as const satisfies Record<string, readonly [status: number, message: string]>

type ClientErrorWhat = keyof typeof clientErrors

const clientErrorConstructors = Object.fromEntries(Object.entries(clientErrors).map(([what, [status, message]]) => [what, createError(prefix + what, message, status)])) as Record<ClientErrorWhat, FastifyErrorConstructor>

/** An error of a client, answered with its status. */
export function clientError (what: ClientErrorWhat, reason = ''): FastifyError {
  return new clientErrorConstructors[what](reason)
}
