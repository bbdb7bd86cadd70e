import { ValueNotJson } from './errors.js'

/**
 * Throws `FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON`, naming the field, unless the value comes back from JSON as it went in.
 * A property whose value is `undefined` passes: it is left out, and reads as `undefined` again.
 *
 * @example assertJson({ at: new Date() }, 'login') // field "login.at" is a Date, which JSON cannot carry
 */
export function assertJson (value: unknown, field: string): void {
  walk(value, field, [])
}

function walk (value: unknown, field: string, ancestors: readonly object[]): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new ValueNotJson(field, String(value))
    return
  }
  if (typeof value !== 'object') throw new ValueNotJson(field, value === undefined ? 'undefined' : `a ${typeof value}`)
  if (ancestors.includes(value)) throw new ValueNotJson(field, 'a reference to an object around it')

  const path = [...ancestors, value]
  if (Array.isArray(value)) {
    // By index, because forEach() and the like skip holes, which JSON turns into null.
    for (let index = 0; index < value.length; index++) walk(value[index], `${field}[${index}]`, path)
    return
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new ValueNotJson(field, `a ${className(value)}`)
  if (Object.getOwnPropertySymbols(value).length > 0) throw new ValueNotJson(field, 'an object with a symbol for a key')
  for (const [key, entry] of Object.entries(value)) {
    assertFieldName(key, `${field}.${key}`)
    if (entry !== undefined) walk(entry, `${field}.${key}`, path)
  }
}

/** Refuses the one name that pollutes a prototype in code that copies the parsed object key by key. */
export function assertFieldName (key: string, field: string): void {
  if (key === '__proto__') throw new ValueNotJson(field, 'a field of that name')
}

function className (value: object): string {
  const constructor: unknown = value.constructor
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'class instance'
}
