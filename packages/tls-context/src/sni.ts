/**
 * Values by host name (RFC 6066 section 3): an exact name first, then a wildcard for one label. Case does not matter,
 * nor a final dot.
 */
export class NameMap<Value> {
  readonly #exact = new Map<string, Value>()
  readonly #wildcards = new Map<string, Value>()

  constructor (entries: Iterable<readonly [name: string, value: Value]> = []) {
    for (const [name, value] of entries) this.set(name, value)
  }

  set (name: string, value: Value): void {
    const key = normalName(name)
    if (key.startsWith('*.')) this.#wildcards.set(key.slice(1), value)
    else this.#exact.set(key, value)
  }

  get (name: string): Value | undefined {
    // What most clients send is normal already.
    const found = this.#exact.get(name)
    if (found !== undefined) return found
    const key = normalName(name)
    const exact = this.#exact.get(key)
    if (exact !== undefined || this.#wildcards.size === 0) return exact
    const dot = key.indexOf('.')
    return dot > 0 ? this.#wildcards.get(key.slice(dot)) : undefined
  }

  get size (): number {
    return this.#exact.size + this.#wildcards.size
  }
}

/** @example normalName('WWW.Example.org.') // 'www.example.org' */
export function normalName (name: string): string {
  const lowered = name.toLowerCase()
  return lowered.endsWith('.') ? lowered.slice(0, -1) : lowered
}
