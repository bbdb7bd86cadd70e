import { arrayOf, boolean, nested, type OptionRules, type Rule } from '@fastkeep/options'
import { CspInvalid } from '../errors.js'
import type { CspSource } from './content-security-policy.js'
import { DIRECTIVES, GONE_DIRECTIVES, equalsSignFault, type CspDirective } from './content-security-policy-grammar.js'
import { listRule } from './string-list.js'

type CamelCase<Kebab extends string> =
  Kebab extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Kebab

/** What is done to one directive. */
export type CspDirectiveChange =
  /** Replaces the sources. */
  | readonly CspSource[]
  /** Removes the directive. */
  | null
  | {
    readonly replace: readonly CspSource[]
    readonly append?: undefined
    readonly remove?: undefined
  }
  | {
    /** Removes these sources, each of which must be there. */
    readonly remove?: readonly string[]
    /** Adds these to what is in force, be it by a fallback such as `default-src`. */
    readonly append?: readonly CspSource[]
    readonly replace?: undefined
  }

/**
 * Directives by name, `script-src` or `scriptSrc`. Keywords and hashes carry their single quotes.
 *
 * @example { scriptSrc: ["'self'", 'https://cdn.example'], imgSrc: { append: ['https://img.example'], remove: ['data:'] }, workerSrc: null }
 */
export type CspDirectives = {
  readonly [Name in CspDirective | CamelCase<CspDirective>]?: CspDirectiveChange
}

const NAMES = new Map<string, CspDirective>(
  (Object.keys(DIRECTIVES) as CspDirective[]).flatMap(name => [[name, name], [camelCase(name), name]]))

const SOURCES = listRule('a string or a function', value => typeof value === 'string' || typeof value === 'function')
const STRINGS = listRule('a string', value => typeof value === 'string')
const CHANGES = nested({ replace: SOURCES, append: arrayOf({ ...entryOf(SOURCES) }), remove: arrayOf({ ...entryOf(STRINGS) }) })

const DIRECTIVE: Rule = {
  ...SOURCES,
  expected: `null or ${SOURCES.expected} or { append, remove, replace }`,
  accepts: value => value === null || SOURCES.accepts(value) || isChange(value),
}

function entryOf (rule: Rule): Rule {
  return rule.entry as Rule
}

/** An object with nothing but the verbs, at least one, and none that contradicts another. */
function isChange (value: unknown): boolean {
  if (!CHANGES.accepts(value)) return false
  const verbs = Object.entries(value as object).filter(([, list]) => list !== undefined)
  return verbs.length > 0 &&
    verbs.every(([verb, list]) => CHANGES.rules?.[verb]?.accepts(list) === true) &&
    !(verbs.length > 1 && verbs.some(([verb]) => verb === 'replace'))
}

export const CONTENT_SECURITY_POLICY_RULES: OptionRules = {
  directives: nested(Object.fromEntries([...NAMES.keys()].map(name => [name, DIRECTIVE]))),
  useDefaults: boolean,
}

/**
 * Explains what the check of names could only call unknown: directives that CSP has given up, and `default-src='self'`.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_CSP`
 */
export function explainMistakes (option: unknown, path: string): void {
  if (typeof option === 'string') {
    throw new CspInvalid(path, equalsSignFault(option) ?? 'a policy is given by directive, as in { directives: { \'default-src\': ["\'self\'"] } }')
  }
  const directives: unknown = (option as { directives?: unknown } | null | undefined)?.directives
  if (typeof directives !== 'object' || directives === null) return
  for (const key of Object.keys(directives)) {
    const gone = GONE_DIRECTIVES.get(key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`))
    const fault = gone === undefined ? equalsSignFault(key) : `this directive is gone: ${gone}`
    if (fault !== undefined) throw new CspInvalid(`${path}.directives.${key}`, fault)
  }
}

interface DirectiveChange {
  readonly name: CspDirective
  /** As the caller spelt it. */
  readonly key: string
  /** `null` removes the directive. */
  readonly replace: readonly CspSource[] | null | undefined
  readonly append: readonly CspSource[]
  readonly remove: readonly string[]
}

/**
 * The changes in one form, of options that were checked.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_CSP` for a directive that is given twice
 */
export function directiveChanges (directives: CspDirectives, path: string): DirectiveChange[] {
  const seen = new Map<CspDirective, string>()
  const given = Object.entries(directives).filter(([, change]) => change !== undefined)
  return given.map(([key, change]) => {
    const name = NAMES.get(key) as CspDirective
    const twin = seen.get(name)
    if (twin !== undefined) throw new CspInvalid(`${path}.directives`, `${name} is given twice, as "${twin}" and as "${key}"`)
    seen.set(name, key)
    if (change === null || isList(change)) return { name, key, replace: change, append: [], remove: [] }
    return { name, key, replace: change?.replace, append: change?.append ?? [], remove: change?.remove ?? [] }
  })
}

function isList (change: NonNullable<CspDirectiveChange>): change is readonly CspSource[] {
  return Array.isArray(change)
}

/** The directive that a name means, in either spelling. */
export function directiveNamed (key: string): CspDirective | undefined {
  return NAMES.get(key)
}

function camelCase (kebab: string): string {
  return kebab.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
