import type { FastifyReply, FastifyRequest } from 'fastify'
import { CONTENT_CLASSES, type ContentClass } from './content-class.js'
import {
  askFunctions, hasFunctions, nameFunctions, withNonce, withoutFunctions, type ContentSecurityPolicy, type StaticContentSecurityPolicy,
} from './headers/content-security-policy.js'
import { NONCE } from './headers/content-security-policy-grammar.js'
import { contentSecurityPolicies, otherHeaders, type Connection } from './response-headers.js'
import type { Settings } from './settings.js'

const CONNECTIONS: readonly Connection[] = ['plain', 'tls', 'hsts']

/** Where a value stands in the list of a {@link Head} that has nonces, and what is around these. */
export interface NoncePlace {
  readonly index: number
  readonly around: readonly string[]
}

/** The headers of one kind of response with nothing left to compute but the nonce. */
export interface Head {
  /** Names and values in turn. */
  readonly list: readonly string[]
  /** It has a nonce though nobody reads it. */
  readonly needsNonce: boolean
  nonces (): readonly NoncePlace[]
}

/** All that decides which headers a response has. */
type Kind = readonly [contentClass: ContentClass, connection: Connection, isNotModified: boolean]

/** A policy, compiled piece by piece when a piece is first needed. */
export interface Policy {
  readonly settings: Settings
  /** It asks functions for each response. */
  readonly hasFunctions: boolean
  head (...kind: Kind): Head
  /** The part of each head that no function has a say in. */
  others (...kind: Kind): readonly string[]
}

export function compilePolicy (settings: Settings): Policy {
  return policyOf(settings, forEachKind((contentClass, connection, isNotModified) => {
    const headers = otherHeaders(settings, contentClass, connection)
    return headers.filter(({ name }) => !(isNotModified && name === 'cache-control')).flatMap(({ name, value }) => [name, value])
  }))
}

function policyOf (settings: Settings, others: Policy['others']): Policy {
  const policies = [settings.contentSecurityPolicy, settings.contentSecurityPolicyReportOnly]
  return {
    settings,
    hasFunctions: policies.some(policy => policy !== false && hasFunctions(policy)),
    head: forEachKind((...kind) => compileHead(settings, kind, others(...kind))),
    others,
  }
}

/** Computes once, and when it is first asked for, what depends on the kind of response only. */
function forEachKind<Value> (compute: (...kind: Kind) => Value): (...kind: Kind) => Value {
  const known: Record<ContentClass, Value[]> = { document: [], api: [], asset: [] }
  return (contentClass, connection, isNotModified) => {
    const index = CONNECTIONS.indexOf(connection) + (isNotModified ? CONNECTIONS.length : 0)
    return (known[contentClass][index] ??= compute(contentClass, connection, isNotModified))
  }
}

/** All pieces of a policy that lives as long as the service. */
export function warm (policy: Policy): Policy {
  for (const contentClass of CONTENT_CLASSES) {
    for (const connection of CONNECTIONS) {
      for (const isNotModified of [false, true]) policy.head(contentClass, connection, isNotModified).nonces()
    }
  }
  return policy
}

/** The policy of one response, whose functions were asked. */
export function askedPolicy ({ settings, others }: Policy, request: FastifyRequest, reply: FastifyReply): Policy {
  return policyOf(withPolicies(settings, policy => askFunctions(policy, request, reply)), others)
}

/** The policy without its functions, for the answer to a failure of one of them. */
export function staticPolicy ({ settings, others }: Policy): Policy {
  return policyOf(withPolicies(settings, withoutFunctions), others)
}

/** The policy with a name in place of each function, such as `tenant()`, for those who read it. */
export function namedFunctions (settings: Settings): Settings {
  return withPolicies(settings, nameFunctions)
}

function withPolicies (settings: Settings, change: (policy: ContentSecurityPolicy) => StaticContentSecurityPolicy): Settings {
  const { contentSecurityPolicy, contentSecurityPolicyReportOnly } = settings
  return {
    ...settings,
    contentSecurityPolicy: contentSecurityPolicy && change(contentSecurityPolicy),
    contentSecurityPolicyReportOnly: contentSecurityPolicyReportOnly && change(contentSecurityPolicyReportOnly),
  }
}

function compileHead (settings: Settings, [contentClass, connection, isNotModified]: Kind, others: readonly string[]): Head {
  // A 304 updates the headers of the cached page, whose nonces a new policy would turn into violations.
  const policies = isNotModified ? [] : contentSecurityPolicies(settings, contentClass, connection)
  const hasNonces = contentClass === 'document' && policies.length > 0
  let places: readonly NoncePlace[] | undefined
  return {
    list: [...policies.flatMap(({ name, value }) => [name, value]), ...others],
    needsNonce: hasNonces && policies.some(({ value }) => value.includes(NONCE)),
    nonces: () => (places ??= hasNonces ? noncePlaces(settings, connection) : []),
  }
}

/** The policies stand first in a head, so their values are at 1 and 3. */
function noncePlaces (settings: Settings, connection: Connection): NoncePlace[] {
  const nonced = withPolicies(settings, policy => withNonce(withoutFunctions(policy)))
  return contentSecurityPolicies(nonced, 'document', connection)
    .map(({ value }, position) => ({ index: 2 * position + 1, around: aroundNonce(value) }))
    .filter(({ around }) => around.length > 1)
}

/** `'nonce'` stands for `'nonce-<value>'`: the parts carry all but the value. */
function aroundNonce (value: string): string[] {
  const parts = value.split(NONCE)
  return parts.map((part, i) => (i === 0 ? '' : "'") + part + (i === parts.length - 1 ? '' : "'nonce-"))
}
