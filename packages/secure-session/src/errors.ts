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
  'secure-session: option %s is longer than %s')
export const CookieContradicts = createError(code('COOKIE_CONTRADICTS'),
  'secure-session: option %s, and browsers would ignore the cookie. %s')
export const CookieTaken = createError(code('COOKIE_TAKEN'),
  'secure-session: another registration in this scope, or around it, has the cookie "%s" already. Give each session a "name" or "cookieName" of its own')
export const NeedsStore = createError(code('NEEDS_STORE'),
  'secure-session: %s needs a store: %s')
export const NeedsSealedCookie = createError(code('NEEDS_SEALED_COOKIE'),
  'secure-session: option "%s" is for sessions in a sealed cookie; with a store, %s')
export const StoreUnusable = createError(code('STORE_UNUSABLE'), 'secure-session: %s', 500, TypeError)

// Thrown by a request's session.
export const ValueNotJson = createError(code('VALUE_NOT_JSON'),
  'secure-session: field "%s" is %s. A session takes only what comes back from JSON as it went in, up to 32 levels deep', 500, TypeError)
export const TextNotUnicode = createError(code('TEXT_NOT_UNICODE'),
  'secure-session: %s has half of a surrogate pair in it, which is no Unicode text', 500, TypeError)
export const NameReserved = createError(code('NAME_RESERVED'),
  'secure-session: "%s" is a name of the session itself. As data it is reached with session.get() and session.set()', 500, TypeError)
export const SubjectInvalid = createError(code('SUBJECT_INVALID'),
  'secure-session: login() takes a subject of 1 to 256 characters, got %s', 500, TypeError)
export const Destroyed = createError(code('DESTROYED'),
  'secure-session: the session was destroyed in this request and cannot be changed any more')
export const Ended = createError(code('ENDED'),
  'secure-session: another request has ended this session, so that it cannot be updated', 409)
export const AlreadySent = createError(code('ALREADY_SENT'),
  'secure-session: the session cannot be changed any more: what this response does to its cookie is decided, or the reply was hijacked (as for a WebSocket)')
export const TooLarge = createError(code('TOO_LARGE'), 'secure-session: %s, and the limit is %s bytes. Keep less in the session')
export const RouteOff = createError(code('ROUTE_OFF'),
  'secure-session: this route has the option "%s: false"')
export const NotLoaded = createError(code('NOT_LOADED'),
  'secure-session: the session is not loaded yet: on a route with the option "%s: \'lazy\'" call await request.%s.load() first; a hook that uses the session is added after the plugin')
export const UpdateRefused = createError(code('UPDATE_REFUSED'),
  'secure-session: update() needs a store: of two answers with a sealed cookie the browser keeps the later one, whatever it was made from')
export const UpdateConflict = createError(code('UPDATE_CONFLICT'),
  'secure-session: update() ran %s times and each time another request had written the session first', 503)

// Answers to a request.
export const StoreUnavailable = createError(code('STORE_UNAVAILABLE'),
  'secure-session: the sessions cannot be reached (%s). Nobody was logged out by that; try again', 503)
export const StoreFull = createError(code('STORE_FULL'),
  'secure-session: the memory store holds its %s sessions, and none of them has expired. Raise "maxSessions", or use a store on disk', 503)
export const CrossSite = createError(code('CROSS_SITE'),
  'secure-session: this request comes from another origin (%s), or from a page that the browser does not tell of. ' +
  'List the origin in "csrf.origins" if it may act for who is logged in', 403)
export const TokenRequired = createError(code('TOKEN_REQUIRED'),
  'secure-session: this request needs the header x-csrf-token or the field _csrf, with what session.csrfToken() gave', 403)
export const RecentLoginRequired = createError(code('RECENT_LOGIN_REQUIRED'),
  'secure-session: this needs a login of the last %s seconds', 401)

/** Adds `exitCode` 78 (EX_CONFIG of sysexits.h): the service cannot start with this configuration. */
export function configurationError<E extends Error> (error: E): E {
  return Object.assign(error, { exitCode: 78 })
}

export function isFastkeepError (error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith(code(''))
}
