/** What one option accepts. `expected` completes the sentence "must be ...". */
export interface Rule {
  readonly expected: string
  accepts (value: unknown): boolean
  /** Candidates to name in the error when a string value was misspelt. */
  readonly candidates?: readonly string[]
  /** The value is never shown in an error. */
  readonly isSecret?: boolean
  /** The value is an object whose own keys are checked too. */
  readonly rules?: Readonly<Record<string, Rule>>
  /** The value is an array; this is what each entry accepts, so that an error can name the one at fault. */
  readonly entry?: Rule
}

export const boolean: Rule = { expected: 'a boolean', accepts: value => typeof value === 'boolean' }

export const func: Rule = { expected: 'a function', accepts: value => typeof value === 'function' }

/** A string that is not empty, and that `pattern` matches where one is given. */
export function string (expected = 'a string that is not empty', pattern = /[^]/): Rule {
  return { expected, accepts: value => typeof value === 'string' && pattern.test(value) }
}

/** Units that a number counts, so that one can say "a whole number of ms". */
const measures: readonly string[] = ['bytes', 'ms', 'seconds', 'days']

/** A whole number from `min` to `max`, both included; `unit` is shown in the error, be it a measure or any other thing. */
export function integer (min: number, max: number, unit: string): Rule {
  return {
    expected: measures.includes(unit)
      ? `a whole number of ${unit} from ${min} to ${max}`
      : `a whole number from ${min} to ${max} (${unit})`,
    accepts: value => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  }
}

/** One of the given values; a misspelt string is answered with the nearest one. */
export function oneOf (values: ReadonlyArray<string | boolean | number>): Rule {
  return {
    expected: values.map(value => JSON.stringify(value)).join(' or '),
    candidates: values.filter(value => typeof value === 'string'),
    accepts: value => values.includes(value as string),
  }
}

/** An array, not empty, each of whose entries `rule` accepts; an array with holes is refused. */
export function arrayOf (rule: Rule): Rule {
  const { rules: _ofEachEntry, ...same } = rule
  return {
    ...same,
    entry: rule,
    expected: `an array, not empty, of entries that are each ${rule.expected}`,
    accepts: value => Array.isArray(value) && value.length > 0 && indexOfRefused(value, rule) === -1,
  }
}

/** The index of the first entry that `rule` refuses, a hole included; -1 where there is none. */
export function indexOfRefused (values: readonly unknown[], rule: Rule): number {
  // `every` would skip the holes.
  return values.findIndex(value => !rule.accepts(value))
}

/** A plain object with keys of its own, checked by `rules`; the entries of a Map or of a class would go unchecked. */
export function nested (rules: Readonly<Record<string, Rule>>): Rule {
  return { expected: 'an object of options', rules, accepts: isPlainObject }
}

export function isPlainObject (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The same rule for a value that no error may show. */
export function secret (rule: Rule): Rule {
  return { ...rule, isSecret: true }
}
