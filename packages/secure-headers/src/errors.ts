import createError, { type FastifyErrorConstructor } from '@fastify/error'

/** A Content-Security-Policy source that the directive cannot hold, or a directive given twice. */
export const CspInvalid = configurationError('CSP', 'secure-headers: option "%s": %s')

/** `preload` with a `maxAge` or `includeSubDomains` that the preload list does not take. */
export const HstsPreloadIneligible = configurationError('HSTS_PRELOAD',
  'secure-headers: option "%s": preload needs maxAge of at least %s seconds and includeSubDomains, got %s')

/** An allowlist of Permissions-Policy that the header cannot carry. */
export const PermissionsPolicyInvalid = configurationError('PERMISSIONS_POLICY', 'secure-headers: option "%s" cannot have %s: %s')

/** A reporting path or endpoint that no browser could use. */
export const ReportingInvalid = configurationError('REPORTING', 'secure-headers: option "%s": %s')

/** `describe()` was asked for a route that the plugin has not seen. */
export const RouteUnknown: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_ROUTE_UNKNOWN',
  'secure-headers: there is no route %s that was added after the plugin had loaded', 500)

/** A browser, or who says so, sent what is no report. */
export const ReportInvalid: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_REPORT_INVALID', 'there is no report in this: %s', 400)

/** A client sent more reports than it may in a minute. */
export const ReportRateExceeded: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_REPORT_RATE', 'too many reports of one client: no more for a minute', 429)

/** A kind of site data that no browser knows. */
export const ClearSiteDataInvalid: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_CLEAR_SITE_DATA',
  'secure-headers: Clear-Site-Data cannot have %s. There are: %s', 500, TypeError) as unknown as FastifyErrorConstructor

/** The policy of a response was to change when its head was sent already. */
export const ChangedTooLate: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_TOO_LATE',
  'reply.secureHeaders() was called after the head of the response was sent: call it before sending', 500)

/** A factory option that leaves no place for the headers. */
export const FactoryOptionInvalid = configurationError('FACTORY_OPTION', 'secure-headers: %s')

/** The plugin was registered beside @fastify/helmet or the drop-in for it. */
export const HelmetBesideSecureHeaders = configurationError('HELMET',
  'secure-headers: this instance is to have both secure-headers and @fastify/helmet, or the drop-in for it, which send the same headers: register one of them')

/** The plugin was registered a second time in the same scope. */
export const RegisteredTwice = configurationError('REGISTERED_TWICE',
  'secure-headers is registered in this scope already: give all options to one registration, or register in a child scope to change them there')

/** The nonce was read for the first time when the head of the response was sent already. */
export const NonceTooLate: FastifyErrorConstructor = createError('FST_KEEP_SECURE_HEADERS_NONCE_TOO_LATE',
  'reply.cspNonce was first read after the head of the response was sent, whose Content-Security-Policy does not have it: read it before sending', 500)

function configurationError (what: string, message: string): FastifyErrorConstructor {
  const ConfigurationError = createError(`FST_KEEP_SECURE_HEADERS_${what}`, message, 500, TypeError)
  // EX_CONFIG of sysexits.h: the exit code of a process that cannot start for it.
  Object.defineProperty(ConfigurationError.prototype, 'exitCode', { value: 78, configurable: true, writable: true })
  return ConfigurationError as unknown as FastifyErrorConstructor
}
