import type { CookieSerializeOptions } from '@fastify/cookie'

/** What a session of @fastify/secure-session holds: its fields, and when it was last touched (s since 1970). */
export type LegacyFields = Record<string, unknown> & { __ts?: number }

/** A session with the members that @fastify/secure-session gives it. */
export class LegacySession {
  changed = false
  deleted = false
  readonly #fields: LegacyFields
  #cookieOptions: CookieSerializeOptions | null = null

  constructor (fields: LegacyFields) {
    this.#fields = fields
    this.#fields.__ts ??= now()
  }

  get (key: string): unknown {
    return this.#fields[key]
  }

  set (key: string, value: unknown): void {
    this.touch()
    this.#fields[key] = value
  }

  delete (): void {
    this.deleted = true
    this.touch()
  }

  options (options: CookieSerializeOptions): void {
    this.#cookieOptions = options
  }

  data (): Record<string, unknown> {
    const { __ts, ...fields } = this.#fields
    return fields
  }

  touch (): void {
    this.changed = true
    this.#fields.__ts = now()
  }

  regenerate (keep?: readonly string[]): void {
    const kept: readonly string[] = Array.isArray(keep) ? keep : []
    for (const key of Object.keys(this.#fields)) {
      if (key !== '__ts' && !kept.includes(key)) Reflect.deleteProperty(this.#fields, key)
    }
    this.touch()
  }

  static fieldsOf (session: LegacySession): LegacyFields {
    return session.#fields
  }

  static cookieOptionsOf (session: LegacySession): CookieSerializeOptions | null {
    return session.#cookieOptions
  }
}

/** The session behind each of the proxies that are handed out. */
const sessions = new WeakMap<object, LegacySession>()

const propertyAccess: ProxyHandler<LegacySession> = {
  get (session, name) {
    const own: unknown = Reflect.get(session, name, session)
    if (typeof own === 'function') return own.bind(session)
    return Object.hasOwn(session, name) ? own : session.get(name as string)
  },
  set (session, name, value) {
    if (Object.hasOwn(session, name)) return Reflect.set(session, name, value, session)
    session.set(name as string, value)
    return true
  },
}

/** The form in which handlers see a session: each field as a property too. */
export function withProperties (session: LegacySession): LegacySession {
  const view = new Proxy(session, propertyAccess)
  sessions.set(view, session)
  return view
}

export function sessionBehind (view: LegacySession): LegacySession {
  return sessions.get(view) ?? view
}

function now (): number {
  return Math.round(Date.now() / 1000)
}
