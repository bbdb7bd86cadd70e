import createError, { type FastifyErrorConstructor } from '@fastify/error'
import { nearest } from './nearest.js'
import { indexOfRefused, isPlainObject, type Rule } from './rules.js'

export type OptionRules = Readonly<Record<string, Rule>>

export interface OptionErrors {
  /** `FST_KEEP_<PACKAGE>_OPTION_UNKNOWN`: a key that no rule names. */
  readonly OptionUnknown: FastifyErrorConstructor
  /** `FST_KEEP_<PACKAGE>_OPTION_INVALID`: a value that its rule does not accept. */
  readonly OptionInvalid: FastifyErrorConstructor
}

export interface CheckOptions extends OptionErrors {
  /**
   * Throws for the first key without a rule and the first value that its rule refuses.
   * A value of `undefined` counts as not given.
   */
  (options: object, rules: OptionRules): void
}

/**
 * Makes the option check of one package. Its errors carry the codes `FST_KEEP_<PACKAGE>_OPTION_UNKNOWN` and
 * `FST_KEEP_<PACKAGE>_OPTION_INVALID`, status code 500 and `exitCode` 78 (EX_CONFIG of sysexits.h).
 *
 * @example
 * const checkOptions = optionChecker('websocket')
 * checkOptions({ maxPayLoad: 1 }, { maxPayload: integer(1, 1024, 'bytes') })
 * // FST_KEEP_WEBSOCKET_OPTION_UNKNOWN: websocket: unknown option "maxPayLoad", did you mean "maxPayload"?
 */
export function optionChecker (packageName: string): CheckOptions {
  const made = checkers.get(packageName)
  if (made !== undefined) return made
  const prefix = `FST_KEEP_${packageName.toUpperCase().replaceAll('-', '_')}`
  const OptionUnknown = createError(`${prefix}_OPTION_UNKNOWN`, '%s', 500, TypeError)
  const OptionInvalid = createError(`${prefix}_OPTION_INVALID`, '%s', 500, TypeError)

  function check (options: object, rules: OptionRules, path = ''): void {
    for (const [key, value] of Object.entries(options)) {
      const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
      if (rule === undefined) {
        const known = Object.keys(rules)
        const hint = suggestion(key, known) || (known.length === 0 ? ', it takes none' : `. There are: ${known.join(', ')}`)
        throw withExitCode(new OptionUnknown(`${packageName}: unknown option "${path + key}"${hint}`))
      }
      if (value === undefined) continue
      if (!rule.accepts(value)) {
        throw withExitCode(new OptionInvalid(`${packageName}: option "${path + key}" must be ${rule.expected}, got ${refused(value, rule)}`))
      }
      if (rule.rules !== undefined) check(value as object, rule.rules, `${path}${key}.`)
      if (Array.isArray(value) && rule.entry?.rules !== undefined) {
        for (const [index, entry] of value.entries()) check(entry as object, rule.entry.rules, `${path}${key}[${index}].`)
      }
    }
  }

  const checker = Object.assign((options: object, rules: OptionRules) => check(options, rules), { OptionUnknown, OptionInvalid })
  checkers.set(packageName, checker)
  return checker
}

/** Each module of a package asks for its check, and error classes are dear to make. */
const checkers = new Map<string, CheckOptions>()

function suggestion (word: unknown, candidates: readonly string[]): string {
  const meant = typeof word === 'string' ? nearest(word, candidates) : undefined
  return meant === undefined ? '' : `, did you mean "${meant}"?`
}

/** The value as the error shows it, of an array the first entry at fault. */
function refused (value: unknown, rule: Rule): string {
  const hint = suggestion(value, rule.candidates ?? [])
  if (rule.entry === undefined || !Array.isArray(value)) return shown(value, rule) + hint
  const index = indexOfRefused(value, rule.entry)
  if (index === -1) return shown(value, rule)
  const entry: unknown = value[index]
  return `${shown(entry, rule)} at index ${index}${suggestion(entry, rule.entry.candidates ?? [])}`
}

function shown (value: unknown, rule: Rule): string {
  if (rule.isSecret === true) return `${kindOf(value)} (not shown: it is secret)`
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? value.slice(0, 80) + '...' : value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return kindOf(value)
}

function kindOf (value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value !== 'object') return `a ${typeof value}`
  return isPlainObject(value) ? 'an object' : `an instance of ${classOf(value)}`
}

function classOf (value: object): string {
  const { constructor } = Object.getPrototypeOf(value) as { constructor?: unknown }
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'a class'
}

function withExitCode<E extends Error> (error: E): E {
  return Object.assign(error, { exitCode: 78 })
}
