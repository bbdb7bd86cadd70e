import { boolean, integer, oneOf, optionChecker, secret, string, type Rule } from '@fastkeep/options'
import { cookiePolicy, type CookiePolicy } from './cookie-policy.js'
import { configurationError, KeysMissing, TimeoutsContradict } from './errors.js'
import { DEFAULT_LIFETIMES, LONGEST_LIFETIME, type Lifetimes } from './lifetimes.js'
import { createKeyRing, generateKey, type KeyRing } from './sealed/key-ring.js'
import type { KeyFileReaders } from './sealed/key-file.js'
import { readKeys } from './sealed/key-sources.js'

/**
 * Keys come from `keys`, or `keyFile`, or, where neither is given, the environment variable `FASTKEEP_SESSION_KEYS`
 * (separated by commas or white space). The first key seals, all open.
 */
export interface SecureSessionOptions {
  /** Each 32 random bytes, or these in base64 with padding. */
  readonly keys?: ReadonlyArray<Uint8Array | string>
  /** Path of a file with one key in base64 on each line. Only its owner may have access to it (mode 0600 or less; 0440 below `$CREDENTIALS_DIRECTORY`). */
  readonly keyFile?: string
  /** Who may read the key file, where the system sets its mode (Kubernetes, Docker). Others may never write it. Default `'owner'`. */
  readonly keyFileReaders?: KeyFileReaders
  /** Name of the cookie without prefix; `__Host-` is put before it. Default `'session'`. */
  readonly cookieName?: string
  /** Default `'lax'`. `'strict'` also withholds the session from a link on another site. */
  readonly sameSite?: 'lax' | 'strict'
  /** Seconds without a request after which a session ends. Default 1800 (30 minutes). */
  readonly idleTimeout?: number
  /** Seconds after its begin at which a session ends in any case. Default 43200 (12 hours). */
  readonly absoluteTimeout?: number
  /** Bound into every cookie: keeps applications with the same keys apart. Default `''`. */
  readonly application?: string
  /** For plain HTTP on one's own machine: no Secure, no `__Host-`, and a key for each start where none is given. Default `false`. */
  readonly development?: boolean
}

export interface Settings extends Lifetimes {
  readonly ring: KeyRing
  /** The ring's key was made for this process: no other can open its sessions, nor this one after a restart. */
  readonly isKeyTemporary: boolean
  readonly cookie: CookiePolicy
  readonly application: string
  readonly development: boolean
}

const checkOptions = optionChecker('secure-session')

const keyList: Rule = {
  expected: 'an array, not empty, of keys that are each 32 random bytes or these in base64',
  accepts: value => Array.isArray(value) && value.length > 0 &&
    value.every(key => typeof key === 'string' || key instanceof Uint8Array),
}

// A token of RFC 9110 5.6.2. Names that begin with two underscores are left to browsers: __Host-, __Secure-, __Http-.
const cookieToken = /^(?!__)[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/

const rules = {
  keys: secret(keyList),
  // Secret, because a key can stand there by mistake.
  keyFile: secret(string('the path of a file', /^[^\0]+$/)),
  keyFileReaders: oneOf(['owner', 'group', 'everyone']),
  cookieName: string('a cookie name of at most 64 characters without prefix (__Host- is put before it)', cookieToken),
  sameSite: oneOf(['lax', 'strict']),
  idleTimeout: integer(1, LONGEST_LIFETIME, 'seconds'),
  absoluteTimeout: integer(1, LONGEST_LIFETIME, 'seconds'),
  application: string('a string of at most 200 characters', /^[^]{0,200}$/),
  development: boolean,
}

/** Checks the plugin's options and fills in the defaults. */
export function settingsFrom (options: SecureSessionOptions, environment: NodeJS.ProcessEnv): Settings {
  checkOptions(options, rules)
  const {
    cookieName = 'session',
    sameSite = 'lax',
    idleTimeout = DEFAULT_LIFETIMES.idleTimeout,
    absoluteTimeout = DEFAULT_LIFETIMES.absoluteTimeout,
    application = '',
    development = false,
  } = options
  if (idleTimeout > absoluteTimeout) throw configurationError(new TimeoutsContradict(idleTimeout, absoluteTimeout))

  const keys = readKeys(options, environment)
  if (keys === undefined && !development) throw configurationError(new KeysMissing())
  return {
    ring: createKeyRing(keys ?? [Buffer.from(generateKey(), 'base64')]),
    isKeyTemporary: keys === undefined,
    cookie: cookiePolicy(cookieName, sameSite, development),
    idleTimeout,
    absoluteTimeout,
    application,
    development,
  }
}

/** Checks the route option `session`. */
export function checkRouteOption (session: unknown): void {
  checkOptions({ session }, { session: boolean })
}
