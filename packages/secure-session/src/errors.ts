import createError from '@fastify/error'

const code = (what: string): string => `FST_KEEP_SECURE_SESSION_${what}`

// Thrown at registration.
export const KeysMissing = createError(code('KEYS_MISSING'),
  'secure-session: no key. Make one with: ' +
  'node -e "console.log(require(\'node:crypto\').randomBytes(32).toString(\'base64\'))" ' +
  'and give it as option "keys", in a file of mode 0600 named by option "keyFile", or in FASTKEEP_SESSION_KEYS. ' +
  'For development only, { development: true } makes one for each start')
export const KeysContradict = createError(code('KEYS_CONTRADICT'),
  'secure-session: options "keys" and "keyFile" are both given, leave one out')
export const KeyInvalid = createError(code('KEY_INVALID'), 'secure-session: %s %s', 500, TypeError)
export const KeyFileUnreadable = createError(code('KEY_FILE_UNREADABLE'),
  'secure-session: option "keyFile": cannot read "%s" (%s). It must be a regular file of at most 64 KiB with one base64 key on each line')
export const KeyFileExposed = createError(code('KEY_FILE_EXPOSED'),
  'secure-session: option "keyFile": "%s" has mode %s, so that other users can %s it. Run: chmod 600 on it, and make new keys if it was ever shared. ' +
  'Where the system sets the mode: with systemd, name the file below $CREDENTIALS_DIRECTORY, where 0440 is right; ' +
  'with Kubernetes or Docker secrets, set "keyFileReaders" to \'group\' or \'everyone\', which lets others read it and never write it')
export const TimeoutsContradict = createError(code('TIMEOUTS_CONTRADICT'),
  'secure-session: option "idleTimeout" (%s s) is longer than "absoluteTimeout" (%s s)')

// Thrown by a request's session.
export const ValueNotJson = createError(code('VALUE_NOT_JSON'),
  'secure-session: field "%s" is %s. A session takes only what comes back from JSON as it went in, up to 32 levels deep', 500, TypeError)
export const NameReserved = createError(code('NAME_RESERVED'),
  'secure-session: "%s" is a name of the session itself. As data it is reached with session.get() and session.set()', 500, TypeError)
export const Destroyed = createError(code('DESTROYED'),
  'secure-session: the session was destroyed in this request and cannot be changed any more')
export const AlreadySent = createError(code('ALREADY_SENT'),
  'secure-session: the session cannot be changed any more: what this response does to its cookie is decided, or the reply was hijacked (as for a WebSocket)')
export const TooLarge = createError(code('TOO_LARGE'),
  'secure-session: %s, and browsers ignore a cookie of more than %s bytes. Keep less in the session')
export const RouteOff = createError(code('ROUTE_OFF'),
  'secure-session: this route has the option "session: false"')

/** Adds `exitCode` 78 (EX_CONFIG of sysexits.h): the service cannot start with this configuration. */
export function configurationError<E extends Error> (error: E): E {
  return Object.assign(error, { exitCode: 78 })
}
