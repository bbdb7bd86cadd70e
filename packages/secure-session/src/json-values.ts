import { dataTooLarge } from './cookie-policy.js'
import { TextNotUnicode, ValueNotJson } from './errors.js'

/** Levels of arrays and objects in one field: far more than a session needs, far fewer than exhaust the stack. */
const MOST_LEVELS = 32

interface Walk {
  /** What may still come: each value, name and character takes at least a byte. */
  room: number
  readonly limit: number
  readonly ancestors: object[]
}

/**
 * Throws `FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON`, naming the field, unless all values come back from JSON as they went in,
 * and `FST_KEEP_SECURE_SESSION_TOO_LARGE` as soon as it is certain that they take more than the limit (bytes): the rest is not looked at.
 * A property whose value is `undefined` passes: it is left out, and reads as `undefined` again.
 *
 * @example assertJson({ login: { at: new Date() } }, 4096) // field "login.at" is a Date
 */
export function assertJson (fields: Readonly<Record<string, unknown>>, limit: number): void {
  const walk: Walk = { room: limit, limit, ancestors: [] }
  for (const [name, value] of Object.entries(fields)) {
    takeRoom(walk, name.length, name)
    check(value, name, walk)
  }
}

/** Refuses the one name that pollutes a prototype in code that copies the parsed object key by key. */
export function assertFieldName (key: string, field: string): void {
  if (key === '__proto__') throw new ValueNotJson(field, 'a field of that name')
  // In a value JSON escapes it; in a store that keeps each field under its name another character would take its place.
  if (hasLoneSurrogate(key)) throw new TextNotUnicode(`the name of field ${JSON.stringify(field)}`)
}

/** Whether a text has half of a surrogate pair, which UTF-8 cannot carry. */
export function hasLoneSurrogate (text: string): boolean {
  return !text.isWellFormed()
}

function check (value: unknown, field: string, walk: Walk): void {
  takeRoom(walk, typeof value === 'string' ? value.length + 1 : 1, field)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') return assertNumber(value, field)
  if (typeof value !== 'object') throw new ValueNotJson(field, value === undefined ? 'undefined' : `a ${typeof value}`)
  if (walk.ancestors.includes(value)) throw new ValueNotJson(field, 'a reference to an object around it')
  if (walk.ancestors.length === MOST_LEVELS) throw new ValueNotJson(field, `more than ${MOST_LEVELS} levels deep`)
  assertPlain(value, field)

  walk.ancestors.push(value)
  if (Array.isArray(value)) checkArray(value, field, walk)
  else checkObject(value, field, walk)
  walk.ancestors.pop()
}

function checkArray (array: readonly unknown[], field: string, walk: Walk): void {
  // By index, because forEach() and the like skip holes, which JSON turns into null.
  for (let index = 0; index < array.length; index++) check(array[index], `${field}[${index}]`, walk)
  // Only now, when the array is known to be short: there is a key for each entry, and "length".
  if (Reflect.ownKeys(array).length !== array.length + 1) throw new ValueNotJson(field, 'an array with other properties than its entries')
}

function checkObject (object: object, field: string, walk: Walk): void {
  for (const key of Reflect.ownKeys(object)) {
    if (typeof key === 'symbol') throw new ValueNotJson(field, 'an object with a symbol for a key')
    const name = `${field}.${key}`
    takeRoom(walk, key.length + 1, name)
    assertFieldName(key, name)
    const property = Object.getOwnPropertyDescriptor(object, key)
    if (property?.enumerable !== true) throw new ValueNotJson(name, 'a property that is not enumerable')
    if (!('value' in property)) throw new ValueNotJson(name, 'a getter or setter')
    if (property.value !== undefined) check(property.value, name, walk)
  }
}

function assertNumber (value: number, field: string): void {
  if (!Number.isFinite(value)) throw new ValueNotJson(field, String(value))
  if (Object.is(value, -0)) throw new ValueNotJson(field, '-0')
}

function assertPlain (value: object, field: string): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = Array.isArray(value) ? prototype === Array.prototype : prototype === Object.prototype || prototype === null
  if (!isPlain) throw new ValueNotJson(field, `a ${className(value)}`)
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') throw new ValueNotJson(field, 'an object with a method toJSON')
}

function takeRoom (walk: Walk, amount: number, field: string): void {
  walk.room -= amount
  if (walk.room < 0) throw dataTooLarge(field, walk.limit)
}

function className (value: object): string {
  const constructor: unknown = value.constructor
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'class instance'
}
