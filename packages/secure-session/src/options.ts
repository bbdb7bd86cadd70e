import { arrayOf, boolean, func, integer, nested, oneOf, optionChecker, secret, string, type Rule } from '@fastkeep/options'
import { COOKIE_PREFIXES, cookiePolicy, type CookiePolicy, type CookiePrefix } from './cookie-policy.js'
import type { CsrfOptions } from './csrf.js'
import { CLEAR_SITE_DATA, type ClearSiteData } from './clear-site-data.js'
import { configurationError, KeysMissing, NeedsSealedCookie, NeedsStore, StoreUnusable, TimeoutsContradict } from './errors.js'
import { DEFAULT_LIFETIMES, LONGEST_LIFETIME, type Lifetimes } from './lifetimes.js'
import { MOST_CHUNKS } from './sealed/chunks.js'
import type { Revocation } from './sealed/ended-sessions.js'
import { createKeyRing, generateKey, type KeyRing } from './sealed/key-ring.js'
import type { KeyFileReaders } from './sealed/key-file.js'
import { readKeys } from './sealed/key-sources.js'
import type { NotBefore } from './sealed/sealed-sessions.js'
import { sessionName } from './session-name.js'
import type { SessionStore } from './stores/store.js'

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
  /** The property of the request and the route option. Another for each session of an application. Default `'session'`. */
  readonly name?: string
  /** Name of the cookie without prefix. Default: `name`. */
  readonly cookieName?: string
  /** What browsers hold the cookie to. Default `'__Host-'`: one host, Path=/, Secure. */
  readonly prefix?: CookiePrefix
  /** Default `'lax'`. `'strict'` also withholds the session from a link on another site; `'none'` gives it to frames and requests of other sites. */
  readonly sameSite?: 'lax' | 'strict' | 'none'
  /** For a frame in other sites: another cookie for each of them (CHIPS). Default `false`. */
  readonly partitioned?: boolean
  /** Shares the cookie with the hosts below this one; needs another prefix than `__Host-`. Default none. */
  readonly domain?: string
  /** Default `'/'`. */
  readonly path?: string
  /** The browser keeps the cookie when it is closed, until the session's absolute limit. Default `false`. */
  readonly persistent?: boolean
  /** Over how many cookies a sealed session may be spread, 1 to 3. Default 1: what does not fit into 4096 bytes is an error. */
  readonly chunks?: number
  /** Seconds without a request after which a session ends. Default 1800 (30 minutes). */
  readonly idleTimeout?: number
  /** Seconds after its begin at which a session ends in any case. Default 43200 (12 hours). */
  readonly absoluteTimeout?: number
  /** Seconds after its last renewal from which on the use of a session renews it. Default: half of `idleTimeout`. */
  readonly renewAfter?: number
  /** Bound into every cookie: keeps applications with the same keys apart. Default `''`. */
  readonly application?: string
  /** For plain HTTP on one's own machine: no Secure, no prefix, and a key for each start where none is given. Default `false`. */
  readonly development?: boolean
  /** Keeps the sessions on the server; the cookie holds the sealed id. Default none: the cookie holds the sealed session. */
  readonly store?: SessionStore
  /** ms within which the store, `revocation` and `notBefore` must answer; else the request is answered with 503. Default 2000. */
  readonly storeTimeout?: number
  /** Longest data of a session in a store, in bytes. Default 262144 (256 KiB). */
  readonly maxSize?: number
  /** How many sessions a subject may have at a time, with a store: a login ends the one unused for longest. Default: any number. */
  readonly maxPerSubject?: number
  /** With sealed cookies: where several processes tell each other which sessions have ended. Default none. */
  readonly revocation?: Revocation
  /** With sealed cookies: since when (s since 1970) a subject's logins count. Default none. */
  readonly notBefore?: NotBefore
  /** Sealed sessions of which this process remembers that it ended them. Default 100,000. */
  readonly maxEnded?: number
  /** Bytes of cookies that this process keeps after it has opened them. Default 8388608 (8 MiB); 0 opens them each time. */
  readonly cacheSize?: number
  /** Refusal of what pages of other origins send. `false` turns it off. */
  readonly csrf?: false | CsrfOptions
  /** What the browser is told to clear when a session is destroyed; `true` for cache, cookies and storage. Default `false`. */
  readonly clearSiteData?: boolean | readonly ClearSiteData[]
}

export interface Settings extends Lifetimes {
  readonly name: string
  readonly ring: KeyRing
  /** The ring's key was made for this process: no other can open its sessions, nor this one after a restart. */
  readonly isKeyTemporary: boolean
  readonly cookie: CookiePolicy
  readonly chunks: number
  readonly application: string
  readonly development: boolean
  readonly store: SessionStore | undefined
  readonly storeTimeout: number
  readonly maxSize: number
  readonly maxPerSubject: number | undefined
  readonly revocation: Revocation | undefined
  readonly notBefore: NotBefore | undefined
  readonly maxEnded: number
  readonly cacheSize: number
  readonly csrf: Required<CsrfOptions> | false
  readonly clearSiteData: readonly ClearSiteData[]
}

const checkOptions = optionChecker('secure-session')

const keyList: Rule = {
  expected: 'an array, not empty, of keys that are each 32 random bytes or these in base64',
  accepts: value => Array.isArray(value) && value.length > 0 &&
    value.every(key => typeof key === 'string' || key instanceof Uint8Array),
}

// A token of RFC 9110 5.6.2. Names that begin with two underscores are left to browsers: __Host-, __Secure-, __Http-.
const cookieToken = /^(?!__)[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/

const STORE_METHODS = ['read', 'create', 'patch', 'rename', 'touch', 'destroy', 'close'] as const

const rules = {
  keys: secret(keyList),
  // Secret, because a key can stand there by mistake.
  keyFile: secret(string('the path of a file', /^[^\0]+$/)),
  keyFileReaders: oneOf(['owner', 'group', 'everyone']),
  name: sessionName,
  cookieName: string('a cookie name of at most 64 characters without prefix (that is option "prefix")', cookieToken),
  prefix: oneOf(COOKIE_PREFIXES),
  sameSite: oneOf(['lax', 'strict', 'none']),
  partitioned: boolean,
  domain: string('a host name', /^(?=.{1,253}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/),
  path: string('a path that begins with /, without ; and control characters', /^\/[\x21-\x3a\x3c-\x7e]{0,255}$/),
  persistent: boolean,
  chunks: integer(1, MOST_CHUNKS, 'cookies'),
  idleTimeout: integer(1, LONGEST_LIFETIME, 'seconds'),
  absoluteTimeout: integer(1, LONGEST_LIFETIME, 'seconds'),
  renewAfter: integer(0, LONGEST_LIFETIME, 'seconds'),
  application: string('a string of at most 200 characters', /^[^]{0,200}$/),
  development: boolean,
  store: objectWith(STORE_METHODS, 'a store: an object with the methods'),
  storeTimeout: integer(1, 60_000, 'ms'),
  maxSize: integer(1, 16 * 1024 * 1024, 'bytes'),
  maxPerSubject: integer(1, 10_000, 'sessions'),
  revocation: objectWith(['isEnded', 'end'], 'an object with the methods'),
  notBefore: func,
  maxEnded: integer(1, 10_000_000, 'sessions'),
  cacheSize: integer(0, 1024 * 1024 * 1024, 'bytes'),
  csrf: { expected: 'false or an object of options', accepts: (value: unknown) => value === false || nested({}).accepts(value) },
  clearSiteData: {
    expected: `a boolean or an array of ${CLEAR_SITE_DATA.join(', ')}`,
    accepts: (value: unknown) => typeof value === 'boolean' || arrayOf(oneOf(CLEAR_SITE_DATA)).accepts(value),
  },
}

const csrfRules = {
  origins: arrayOf({ expected: 'an origin such as https://admin.example.com', accepts: value => typeof value === 'string' && isOrigin(value) }),
  requireToken: boolean,
}

/** Checks the plugin's options and fills in the defaults. */
export function settingsFrom (options: SecureSessionOptions, environment: NodeJS.ProcessEnv): Settings {
  checkOptions(options, rules)
  const { csrf = {}, clearSiteData = false, development = false, name = 'session', store } = options
  if (csrf !== false) checkOptions(csrf, csrfRules)
  const keys = readKeys(options, environment)
  if (keys === undefined && !development) throw configurationError(new KeysMissing())
  checkMode(options)
  return {
    name,
    ring: createKeyRing(keys ?? [Buffer.from(generateKey(), 'base64')]),
    isKeyTemporary: keys === undefined,
    cookie: cookiePolicy({
      cookieName: options.cookieName ?? name,
      prefix: options.prefix ?? '__Host-',
      sameSite: options.sameSite ?? 'lax',
      partitioned: options.partitioned ?? false,
      domain: options.domain,
      path: options.path ?? '/',
      isPersistent: options.persistent ?? false,
      development,
    }),
    ...lifetimesFrom(options),
    chunks: options.chunks ?? 1,
    application: options.application ?? '',
    development,
    store,
    storeTimeout: options.storeTimeout ?? 2000,
    maxSize: options.maxSize ?? 256 * 1024,
    maxPerSubject: options.maxPerSubject,
    revocation: options.revocation,
    notBefore: options.notBefore,
    maxEnded: options.maxEnded ?? 100_000,
    cacheSize: options.cacheSize ?? 8 * 1024 * 1024,
    csrf: csrf !== false && { origins: csrf.origins ?? [], requireToken: csrf.requireToken ?? false },
    clearSiteData: clearSiteData === true ? ['cache', 'cookies', 'storage'] : clearSiteData || [],
  }
}

/** What a route decides for itself. */
export interface RouteSettings {
  readonly isOff: boolean
  readonly isLazy: boolean
  readonly isCsrfChecked: boolean
}

/** `false`: the session is not to be used. `'lazy'`: it is loaded by `load()`. */
export type RouteSession = boolean | 'lazy' | { readonly lazy?: boolean, readonly csrf?: boolean }

export const USUAL_ROUTE: RouteSettings = { isOff: false, isLazy: false, isCsrfChecked: true }

/** Checks the route option named like the session. */
export function routeSettingsFrom (option: unknown, name: string): RouteSettings {
  const isObject = typeof option === 'object' && option !== null
  const rule: Rule = { expected: 'a boolean, \'lazy\' or an object of options', candidates: ['lazy'], accepts: value => isObject || [true, false, 'lazy'].includes(value as string) }
  checkOptions({ [name]: option }, { [name]: isObject ? nested({ lazy: boolean, csrf: boolean }) : rule })
  const { lazy = option === 'lazy', csrf = true } = isObject ? option as { lazy?: boolean, csrf?: boolean } : {}
  return { isOff: option === false, isLazy: lazy, isCsrfChecked: csrf }
}

function lifetimesFrom (options: SecureSessionOptions): Lifetimes {
  const { idleTimeout = DEFAULT_LIFETIMES.idleTimeout, absoluteTimeout = DEFAULT_LIFETIMES.absoluteTimeout } = options
  if (idleTimeout > absoluteTimeout) throw configurationError(new TimeoutsContradict(`"idleTimeout" (${idleTimeout} s)`, `"absoluteTimeout" (${absoluteTimeout} s)`))
  const { renewAfter = idleTimeout / 2 } = options
  if (renewAfter > idleTimeout) throw configurationError(new TimeoutsContradict(`"renewAfter" (${renewAfter} s)`, `"idleTimeout" (${idleTimeout} s)`))
  return { idleTimeout, absoluteTimeout, renewAfter }
}

function checkMode ({ store, maxPerSubject, revocation, notBefore, chunks, maxEnded }: SecureSessionOptions): void {
  if (store === undefined) {
    if (maxPerSubject !== undefined) throw configurationError(new NeedsStore('option "maxPerSubject"', 'nobody can count sealed cookies'))
    return
  }
  if (maxPerSubject !== undefined && store.list === undefined) throw configurationError(new StoreUnusable('option "maxPerSubject" needs a store that can list the sessions of a subject, and this one cannot'))
  if (revocation !== undefined) throw configurationError(new NeedsSealedCookie('revocation', 'sessions end in the store'))
  if (notBefore !== undefined) throw configurationError(new NeedsSealedCookie('notBefore', 'use sessions.destroyAll(subject)'))
  if (chunks !== undefined) throw configurationError(new NeedsSealedCookie('chunks', 'the cookie holds an id only'))
  if (maxEnded !== undefined) throw configurationError(new NeedsSealedCookie('maxEnded', 'sessions end in the store'))
}

function objectWith (methods: readonly string[], expected: string): Rule {
  return {
    expected: `${expected} ${methods.join(', ')}`,
    accepts: value => typeof value === 'object' && value !== null && methods.every(method => typeof Reflect.get(value, method) === 'function'),
  }
}

function isOrigin (text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
