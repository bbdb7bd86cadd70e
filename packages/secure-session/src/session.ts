import { NameReserved } from './errors.js'
import type { OpenedSession } from './opened-session.js'
import type { SessionData } from './session-data.js'

/** What a session has besides the fields of `SessionData`. */
export interface SessionMethods {
  /** 256 random bits in base64url: the same as long as the session lasts, new after `regenerate()`. Not a secret to the client, who cannot read it either. */
  readonly id: string
  /** The request came without a cookie that was accepted. */
  readonly isNew: boolean
  /** There is no data. */
  readonly isEmpty: boolean

  /** The value of a field. An object is the session's own: what is changed inside it is noticed and written. */
  get<Key extends keyof SessionData> (key: Key): SessionData[Key] | undefined

  /**
   * Sets a field, or removes it with `undefined`.
   * @throws FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON for a Date, Map, Set, BigInt, function, symbol, NaN, class instance and the like, and over 32 levels deep
   * @throws FST_KEEP_SECURE_SESSION_TOO_LARGE for a value of more than any cookie can hold
   * @throws FST_KEEP_SECURE_SESSION_DESTROYED after `destroy()`
   * @throws FST_KEEP_SECURE_SESSION_ALREADY_SENT once the response's cookie is decided (in onSend), and in a WebSocket handler
   */
  set<Key extends keyof SessionData> (key: Key, value: SessionData[Key] | undefined): void

  /** A new object with all fields. */
  data (): Partial<SessionData>

  /** Ends the session: its data is gone, the cookie is expired if the request carried one, and it cannot be changed again in this request. */
  destroy (): void

  /**
   * Begins anew: another id, another absolute lifetime, no data but for the fields to keep.
   * To be called at every login (ASVS 5.0 7.2.4), before the user is recorded.
   * @example
   * request.session.regenerate(['cart'])
   * request.session.user = 'ada'
   */
  regenerate (keep?: ReadonlyArray<keyof SessionData>): void
}

/** The session of a request: its methods, and each field as a property. */
export type Session = SessionMethods & Partial<SessionData>

const OWN_NAMES: ReadonlySet<string | symbol> = new Set<keyof SessionMethods>([
  'id', 'isNew', 'isEmpty', 'get', 'set', 'data', 'destroy', 'regenerate',
])

const propertyAccess: ProxyHandler<OpenedSession> = {
  get (session, name) {
    if (isFieldName(name)) return session.get(name)
    if (!OWN_NAMES.has(name)) return Reflect.get(Object.prototype, name)
    const own: unknown = Reflect.get(session, name)
    // Private members are found on the session only, not on the proxy around it.
    return typeof own === 'function' ? own.bind(session) : own
  },
  set (session, name, value) {
    session.set(fieldName(name), value)
    return true
  },
  deleteProperty (session, name) {
    session.set(fieldName(name), undefined)
    return true
  },
  has: (session, name) => isFieldName(name) ? session.keys().includes(name) : OWN_NAMES.has(name),
  ownKeys: session => session.keys(),
  getOwnPropertyDescriptor (session, name) {
    if (!isFieldName(name) || !session.keys().includes(name)) return undefined
    return { value: session.get(name), writable: true, enumerable: true, configurable: true }
  },
  // Each of these would change the object and not the session.
  defineProperty: () => false,
  setPrototypeOf: () => false,
  preventExtensions: () => false,
}

/** Gives the session of a request the form in which handlers see it. */
export function sessionWithProperties (session: OpenedSession): Session {
  return new Proxy(session, propertyAccess) as unknown as Session
}

function fieldName (name: string | symbol): string {
  if (isFieldName(name)) return name
  throw new NameReserved(String(name))
}

function isFieldName (name: string | symbol): name is string {
  return typeof name === 'string' && !OWN_NAMES.has(name) && !(name in Object.prototype)
}
