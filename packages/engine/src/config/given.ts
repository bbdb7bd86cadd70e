import { nearest } from '@fastkeep/options'
import type { EngineErrorConstructor } from '../errors.js'
import { isGroup, isObject, type ConfigOption, type ConfigTable } from './options.js'

/** One option that somebody has given. */
export interface Given {
  /** e.g. `drain.deadline` */
  readonly path: string
  readonly value: unknown
  /** Where, in the words of whoever gave it: `FASTKEEP_PORT`, `--port`, `/etc/shop/fastkeep.config.json`, `code`. */
  readonly origin: string
}

/**
 * Reads a text as the value of an option.
 *
 * @param subject begins the error's sentence "... must be"
 * @throws an `Invalid` for a text that is malformed or that the option's rule refuses
 */
export function parse (text: string, option: ConfigOption, subject: string, Invalid: EngineErrorConstructor): unknown {
  const value = option.text?.parse(text)
  if (value !== undefined && option.rule.accepts(value)) return value
  throw new Invalid(refusal(subject, option.text?.expected ?? option.rule.expected, text, option.rule))
}

/** The refusal of a value, which does not show a secret. */
export function refusal (subject: string, expected: string, value: unknown, { isSecret, candidates = [] }: ConfigOption['rule']): string {
  const got = isSecret === true ? 'something else (not shown: it is secret)' : shown(value)
  return `${subject} must be ${expected}, got ${got}${typeof value === 'string' ? suggestion(value, candidates) : ''}`
}

/** `, did you mean "port"?`, or nothing. */
export function suggestion (word: string, candidates: readonly string[]): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : `, did you mean "${meant}"?`
}

export function shown (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/**
 * The values of nested options, each with its keys; `undefined` counts as not given. An object in the place of a group
 * that is an option too says `true` for it.
 */
export function flatten (options: object, table: ConfigTable, outer: readonly string[] = []): Array<{ keys: readonly string[], value: unknown }> {
  return Object.entries(options).flatMap(([key, value]: [string, unknown]) => {
    const keys = [...outer, key]
    if (value === undefined) return []
    if (!isObject(value) || !isGroup(table, keys.join('.'))) return [{ keys, value }]
    const inner = flatten(value, table, keys)
    return Object.hasOwn(table, keys.join('.')) ? [{ keys, value: true }, ...inner] : inner
  })
}
