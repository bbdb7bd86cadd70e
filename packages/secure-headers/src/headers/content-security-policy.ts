import { nested, type OptionRules } from '@fastkeep/options'
import { CspInvalid } from '../errors.js'
import { DIRECTIVES, sourceListFault, type CspDirective } from './content-security-policy-grammar.js'
import { STRING_LIST } from './string-list.js'

type CamelCase<Kebab extends string> =
  Kebab extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Kebab

/**
 * Directives by name, `script-src` or `scriptSrc`. An array replaces the directive's sources, `null` removes the
 * directive. Keywords and hashes carry their single quotes: `["'self'", 'https://cdn.example']`.
 */
export type CspDirectives = {
  readonly [Name in CspDirective | CamelCase<CspDirective>]?: readonly string[] | null
}

export interface ContentSecurityPolicyOptions {
  /** Changes to the inherited policy, directive by directive. */
  readonly directives?: CspDirectives
}

/** A policy as it is kept: only kebab-case names, in the order in which they are sent. */
export type ContentSecurityPolicy = { readonly [Name in CspDirective]?: readonly string[] }

/**
 * Nothing but what the origin itself serves, no inline code, no framing. ASVS 5.0 3.4.3 asks for `object-src` and
 * `base-uri` of `'none'`, 3.4.6 for `frame-ancestors`. `upgrade-insecure-requests` is sent over TLS only.
 */
export const CONTENT_SECURITY_POLICY_DEFAULTS: ContentSecurityPolicy = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'manifest-src': ["'self'"],
  'worker-src': ["'self'"],
  'script-src-attr': ["'none'"],
  'object-src': ["'none'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
  'upgrade-insecure-requests': [],
}

const NAMES = new Map<string, CspDirective>(
  (Object.keys(DIRECTIVES) as CspDirective[]).flatMap(name => [[name, name], [camelCase(name), name]]))

export const CONTENT_SECURITY_POLICY_RULES: OptionRules = {
  directives: nested(Object.fromEntries([...NAMES.keys()].map(name => [name, STRING_LIST]))),
}

/**
 * Throws `FST_KEEP_SECURE_HEADERS_CSP` for sources that CSP3's grammar refuses and for a directive given twice.
 *
 * @param path of the option, for the error
 */
export function checkContentSecurityPolicy ({ directives = {} }: ContentSecurityPolicyOptions, path: string): void {
  const seen = new Map<CspDirective, string>()
  for (const [key, sources] of givenDirectives(directives)) {
    const name = NAMES.get(key) as CspDirective
    const twin = seen.get(name)
    if (twin !== undefined) throw new CspInvalid(`${path}.directives`, `${name} is given twice, as "${twin}" and as "${key}"`)
    seen.set(name, key)
    const fault = sources === null ? undefined : sourceListFault(name, sources)
    if (fault !== undefined) throw new CspInvalid(`${path}.directives.${key}`, fault)
  }
}

/** The inherited policy with the given directives replaced, or removed where they are `null`. */
export function mergeContentSecurityPolicy (
  inherited: ContentSecurityPolicy,
  { directives = {} }: ContentSecurityPolicyOptions
): ContentSecurityPolicy {
  const merged = new Map(Object.entries(inherited))
  for (const [key, sources] of givenDirectives(directives)) {
    const name = NAMES.get(key) as CspDirective
    if (sources === null) merged.delete(name)
    // A copy: what the caller adds to the array later is not checked any more.
    else merged.set(name, [...sources])
  }
  return Object.fromEntries(merged)
}

function givenDirectives (directives: CspDirectives): Array<[string, readonly string[] | null]> {
  return Object.entries(directives).filter(([, sources]) => sources !== undefined)
}

function camelCase (kebab: string): string {
  return kebab.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/**
 * The header's value; `undefined` where no directive is left. Over plain HTTP it has no `upgrade-insecure-requests`,
 * which would turn the page's own links to an origin that may not speak TLS.
 */
export function contentSecurityPolicy (policy: ContentSecurityPolicy, isSecure: boolean): string | undefined {
  const directives = Object.entries(policy).filter(([name]) => isSecure || name !== 'upgrade-insecure-requests')
  if (directives.length === 0) return undefined
  return directives.map(([name, sources]) => [name, ...sources].join(' ')).join('; ')
}

/** Which directives a nonce goes into, and which one's sources it takes where they are not given themselves. */
const NONCE_DIRECTIVES: ReadonlyArray<readonly [CspDirective, fallback?: CspDirective]> = [
  ['script-src', 'default-src'],
  ['style-src', 'default-src'],
  // Where these are given, browsers look for the nonces of elements here and nowhere else.
  ['script-src-elem'],
  ['style-src-elem'],
]

/**
 * The policy that also lets elements with this nonce run. A directive that is not given starts from the sources of
 * `default-src`, which it replaces for the browser; with neither, all is allowed already and nothing is added.
 */
export function withNonce (policy: ContentSecurityPolicy, nonce: string): ContentSecurityPolicy {
  const merged: Partial<Record<CspDirective, readonly string[]>> = { ...policy }
  for (const [name, fallback] of NONCE_DIRECTIVES) {
    const sources = policy[name] ?? (fallback && policy[fallback])
    if (sources === undefined) continue
    merged[name] = [...sources.filter(source => source !== "'none'"), `'nonce-${nonce}'`]
  }
  return merged
}
