import type { FastifyReply, FastifyRequest } from 'fastify'
import { CspInvalid } from '../errors.js'
import { FALLBACKS, NONCE, sourceListFault, type CspDirective } from './content-security-policy-grammar.js'
import { directiveChanges, type CspDirectives } from './content-security-policy-options.js'

/**
 * A source, or a function that gives sources when a request arrives. What it gives is checked as at boot; when it
 * throws, the request fails with 500 and the policy goes without it.
 */
export type CspSource = string | ((request: FastifyRequest, reply: FastifyReply) => string | readonly string[])

export interface ContentSecurityPolicyOptions {
  /** Changes to the inherited policy, directive by directive. */
  readonly directives?: CspDirectives
  /** `false` starts from an empty policy instead of the inherited one. Default `true`. */
  readonly useDefaults?: boolean
}

/** A policy as it is kept: only kebab-case names, in the order in which they are sent. */
export type ContentSecurityPolicy = { readonly [Name in CspDirective]?: readonly CspSource[] }

/** The same when all functions were asked. */
export type StaticContentSecurityPolicy = { readonly [Name in CspDirective]?: readonly string[] }

/**
 * Nothing but what the origin itself serves, no inline code, no framing. ASVS 5.0 3.4.3 asks for `object-src` and
 * `base-uri` of `'none'`, 3.4.6 for `frame-ancestors`. `upgrade-insecure-requests` is sent over TLS only.
 */
export const CONTENT_SECURITY_POLICY_DEFAULTS: StaticContentSecurityPolicy = {
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

/** For data: nothing may load or run should a browser show it after all. */
const API_POLICY: StaticContentSecurityPolicy = {
  'default-src': ["'none'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
}

/**
 * The inherited policy with the changes laid over it.
 *
 * @param path of the option, for the error
 * @throws `FST_KEEP_SECURE_HEADERS_CSP` for what the result cannot hold
 */
export function mergeContentSecurityPolicy (
  inherited: ContentSecurityPolicy,
  { directives = {}, useDefaults = true }: ContentSecurityPolicyOptions,
  path: string
): ContentSecurityPolicy {
  const base: ContentSecurityPolicy = useDefaults ? inherited : {}
  const merged = new Map(Object.entries(base))
  for (const { name, key, replace, append, remove } of directiveChanges(directives, path)) {
    if (replace === null) {
      merged.delete(name)
      continue
    }
    // A copy: what the caller adds to the array later is not checked any more.
    const sources = [...replace ?? appended(without(inForce(base, name), remove, `${path}.directives.${key}`), append)]
    const fault = sourceListFault(name, sources.filter(source => typeof source === 'string').concat(fillers(sources)))
    if (fault !== undefined) throw new CspInvalid(`${path}.directives.${key}`, fault)
    merged.set(name, sources)
  }
  return Object.fromEntries(merged)
}

/** A directive that only functions fill is not empty. */
function fillers (sources: readonly CspSource[]): readonly string[] {
  return sources.some(source => typeof source === 'function') && !sources.some(source => typeof source === 'string') ? ["'self'"] : []
}

/** What holds for a directive now, be it by its fallback: adding to it must neither widen nor narrow the rest. */
function inForce (policy: ContentSecurityPolicy, name: CspDirective): readonly CspSource[] {
  const given = [name, ...FALLBACKS[name] ?? []].find(candidate => policy[candidate] !== undefined)
  return given === undefined ? [] : policy[given] ?? []
}

function without (sources: readonly CspSource[], removed: readonly string[], path: string): readonly CspSource[] {
  const missing = removed.find(source => !sources.includes(source))
  if (missing !== undefined) {
    throw new CspInvalid(path, `${JSON.stringify(missing)} cannot be removed, it is not there. There is: ${sources.filter(source => typeof source === 'string').join(' ') || 'nothing'}`)
  }
  return removed.length === 0 ? sources : orNone(sources.filter(source => !removed.includes(source as string)))
}

function appended (sources: readonly CspSource[], added: readonly CspSource[]): readonly CspSource[] {
  if (added.length === 0) return sources
  return [...sources.filter(source => source !== "'none'"), ...added.filter(source => !sources.includes(source))]
}

/** Removing the last source must not turn into allowing all. */
function orNone<Source extends CspSource> (sources: readonly Source[]): ReadonlyArray<Source | "'none'"> {
  return sources.length === 0 ? ["'none'"] : sources
}

export function hasFunctions (policy: ContentSecurityPolicy): boolean {
  return Object.values(policy).some(sources => sources.some(isFunction))
}

/**
 * Asks the functions of a policy.
 *
 * @throws what a function throws, and `FST_KEEP_SECURE_HEADERS_CSP` for what it must not give
 */
export function askFunctions (policy: ContentSecurityPolicy, request: FastifyRequest, reply: FastifyReply): StaticContentSecurityPolicy {
  return mapFunctions(policy, (sources, name) => {
    const asked = sources.flatMap(source => typeof source === 'function' ? source(request, reply) : [source])
    const words = orNone(asked.length > 1 ? asked.filter(source => source !== "'none'") : asked)
    const stranger = words.find(word => typeof word !== 'string')
    const fault = stranger === undefined
      ? sourceListFault(name, words, true)
      : `${name}: a function gives a string or an array of strings, not ${stranger === null ? 'null' : `a ${typeof stranger}`}`
    if (fault !== undefined) throw new CspInvalid('contentSecurityPolicy', fault)
    return words
  })
}

/** The policy as it is when the functions cannot be asked. */
export function withoutFunctions (policy: ContentSecurityPolicy): StaticContentSecurityPolicy {
  return mapFunctions(policy, sources => orNone(sources.filter(source => typeof source === 'string')))
}

/** The policy as one reads it, with `tenant()` for what a function of that name gives. */
export function nameFunctions (policy: ContentSecurityPolicy): StaticContentSecurityPolicy {
  return mapFunctions(policy, sources => sources.map(source => typeof source === 'function' ? `${source.name}()` : source))
}

/** What remains of a document's policy for data: it keeps who may frame it. */
export function apiPolicy (policy: StaticContentSecurityPolicy): StaticContentSecurityPolicy {
  return { ...API_POLICY, ...assetPolicy(policy) }
}

/** What remains for parts of documents: who may frame them. */
export function assetPolicy ({ 'frame-ancestors': frameAncestors }: StaticContentSecurityPolicy): StaticContentSecurityPolicy {
  return frameAncestors === undefined ? {} : { 'frame-ancestors': frameAncestors }
}

/**
 * The header's value; `undefined` where no directive is left. Over plain HTTP it has no `upgrade-insecure-requests`,
 * which would turn the page's own links to an origin that may not speak TLS.
 */
export function contentSecurityPolicy (policy: StaticContentSecurityPolicy, isSecure: boolean): string | undefined {
  const directives = Object.entries(policy).filter(([name]) => isSecure || name !== 'upgrade-insecure-requests')
  if (directives.length === 0) return undefined
  return directives.map(([name, sources]) => [name, ...sources].join(' ')).join('; ')
}

/** Browsers have these for enforced policies only and complain about them in a report-only one. */
export function reportOnlyPolicy ({
  'upgrade-insecure-requests': _upgrade, sandbox: _sandbox, ...policy
}: StaticContentSecurityPolicy): StaticContentSecurityPolicy {
  return policy
}

/** Which directives a nonce goes into, and which one's sources it takes where they are not given themselves. */
const NONCE_DIRECTIVES: ReadonlyArray<readonly [CspDirective, fallback?: CspDirective]> = [
  ['script-src', 'default-src'],
  ['style-src', 'default-src'],
  // Where these are given, browsers look for the nonces of elements here and nowhere else.
  ['script-src-elem'],
  ['style-src-elem'],
]

export function hasNonce (policy: StaticContentSecurityPolicy): boolean {
  return Object.values(policy).some(sources => sources.includes(NONCE))
}

/**
 * The policy that also lets elements with the nonce run; one that has the nonce stays as it is. A directive that is not
 * given starts from the sources of `default-src`, which it replaces for the browser; with neither, all is allowed
 * already and nothing is added.
 */
export function withNonce (policy: StaticContentSecurityPolicy): StaticContentSecurityPolicy {
  if (hasNonce(policy)) return policy
  const merged: Partial<Record<CspDirective, readonly string[]>> = { ...policy }
  for (const [name, fallback] of NONCE_DIRECTIVES) {
    const sources = policy[name] ?? (fallback && policy[fallback])
    if (sources !== undefined) merged[name] = [...sources.filter(source => source !== "'none'"), NONCE]
  }
  return merged
}

/** The policy with something else for each directive that has functions. */
function mapFunctions (
  policy: ContentSecurityPolicy,
  change: (sources: readonly CspSource[], name: CspDirective) => readonly string[]
): StaticContentSecurityPolicy {
  const mapped: Partial<Record<CspDirective, readonly CspSource[]>> = { ...policy }
  for (const [name, sources] of Object.entries(policy)) {
    if (sources.some(isFunction)) mapped[name as CspDirective] = change(sources, name as CspDirective)
  }
  return mapped as StaticContentSecurityPolicy
}

function isFunction (source: CspSource): boolean {
  return typeof source === 'function'
}
