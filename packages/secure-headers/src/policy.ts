import type { FastifyReply, FastifyRequest } from 'fastify'
import { CONTENT_CLASSES, type ContentClass } from './content-class.js'
import {
  apiPolicy, askFunctions, assetPolicy, contentSecurityPolicy, hasFunctions, nameFunctions, reportOnlyPolicy, withNonce,
  withoutFunctions, type ContentSecurityPolicy, type StaticContentSecurityPolicy,
} from './headers/content-security-policy.js'
import { NONCE } from './headers/content-security-policy-grammar.js'
import { integrityPolicy } from './headers/integrity-policy.js'
import { permissionsPolicy } from './headers/permissions-policy.js'
import { strictTransportSecurity } from './headers/strict-transport-security.js'
import { FIXED_VALUE_HEADERS, type FixedValueOption } from './options.js'
import { reportTo, reportingEndpoints } from './reporting/options.js'
import type { Settings } from './settings.js'

/** `hsts`: over TLS, to a host that may be told to use nothing else. */
export type Connection = 'plain' | 'tls' | 'hsts'

export const CONNECTIONS: readonly Connection[] = ['plain', 'tls', 'hsts']

/** One header of one kind of response, and which option decides it. */
export interface Header {
  /** In lower case. */
  readonly name: string
  readonly value: string
  readonly option: string
}

/** The headers of one kind of response with nothing left to compute but the nonce. */
export interface Head {
  /** Names and values in turn. */
  readonly list: readonly string[]
  /** Where in the list the values stand that have nonces, and what is around these. */
  readonly nonces: ReadonlyArray<{ readonly index: number, readonly around: readonly string[] }>
  /** It has a nonce though nobody reads it. */
  readonly needsNonce: boolean
}

/** A policy, compiled piece by piece when a piece is first needed. */
export interface Policy {
  readonly settings: Settings
  /** It asks functions for each response. */
  readonly hasFunctions: boolean
  head (contentClass: ContentClass, connection: Connection, isNotModified: boolean): Head
}

export function compilePolicy (settings: Settings): Policy {
  const functionsOf = [settings.contentSecurityPolicy, settings.contentSecurityPolicyReportOnly]
  const heads: Record<ContentClass, Array<Head | undefined>> = { document: [], api: [], asset: [] }
  return {
    settings,
    hasFunctions: functionsOf.some(policy => policy !== false && hasFunctions(policy)),
    head: (contentClass, connection, isNotModified) => {
      const index = CONNECTIONS.indexOf(connection) + (isNotModified ? CONNECTIONS.length : 0)
      const head = heads[contentClass][index] ?? compileHead(settings, contentClass, connection, isNotModified)
      heads[contentClass][index] = head
      return head
    },
  }
}

/** All pieces of a policy that lives as long as the service. */
export function warm (policy: Policy): Policy {
  for (const contentClass of CONTENT_CLASSES) {
    for (const connection of CONNECTIONS) {
      for (const isNotModified of [false, true]) policy.head(contentClass, connection, isNotModified)
    }
  }
  return policy
}

/** The policy of one response, whose functions were asked. */
export function askedPolicy ({ settings }: Policy, request: FastifyRequest, reply: FastifyReply): Policy {
  return compilePolicy(withPolicies(settings, policy => askFunctions(policy, request, reply)))
}

/** The policy without its functions, for the answer to a failure of one of them. */
export function staticPolicy ({ settings }: Policy): Policy {
  return compilePolicy(withPolicies(settings, withoutFunctions))
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

const CSP_HEADERS: ReadonlySet<string> = new Set(['content-security-policy', 'content-security-policy-report-only'])

/** The headers of one kind of response, in the order in which they are sent. A nonce is its placeholder. */
export function headersOf (settings: Settings, contentClass: ContentClass, connection: Connection): Header[] {
  const isSecure = connection !== 'plain'
  const isDocument = contentClass === 'document'
  const endpoint = settings.reporting === false ? undefined : settings.reporting.own?.endpoint
  const headers: Header[] = []
  const add = (option: string, name: string, value: string | false | undefined): void => {
    if (value !== false && value !== undefined && value !== '') headers.push({ name, value, option })
  }

  add('contentSecurityPolicy', 'content-security-policy',
    settings.contentSecurityPolicy && contentSecurityPolicy(ofClass(settings, contentClass), isSecure))
  if (isDocument && settings.contentSecurityPolicyReportOnly) {
    add('contentSecurityPolicyReportOnly', 'content-security-policy-report-only', contentSecurityPolicy(
      withReporting(reportOnlyPolicy(withoutFunctions(settings.contentSecurityPolicyReportOnly)), settings), isSecure))
  }
  if (connection === 'hsts') {
    add('strictTransportSecurity', 'strict-transport-security',
      settings.strictTransportSecurity && strictTransportSecurity(settings.strictTransportSecurity))
  }
  for (const [option, value] of Object.entries(settings.fixedValues)) {
    const { name, classes, isReported } = FIXED_VALUE_HEADERS[option as FixedValueOption]
    if (value === false || !classes.includes(contentClass)) continue
    add(option, name, isReported && endpoint !== undefined ? `${value}; report-to="${endpoint}"` : value)
  }
  if (isDocument) {
    add('permissionsPolicy', 'permissions-policy', settings.permissionsPolicy && permissionsPolicy(settings.permissionsPolicy))
    add('integrityPolicy', 'integrity-policy', settings.integrityPolicy && integrityPolicy(settings.integrityPolicy, endpoint))
    add('integrityPolicyReportOnly', 'integrity-policy-report-only',
      settings.integrityPolicyReportOnly && integrityPolicy(settings.integrityPolicyReportOnly, endpoint))
    add('reporting', 'reporting-endpoints', settings.reporting && reportingEndpoints(settings.reporting))
    add('reporting', 'report-to', settings.reporting && reportTo(settings.reporting))
  }
  const { cacheControl } = settings
  if (cacheControl && (contentClass === 'api' || (isDocument && cacheControl.documents === 'always'))) {
    add('cacheControl', 'cache-control', cacheControl.value)
  }
  return headers
}

function ofClass (settings: Settings, contentClass: ContentClass): StaticContentSecurityPolicy {
  const policy = withoutFunctions(settings.contentSecurityPolicy || {})
  switch (contentClass) {
    case 'document': return withReporting(policy, settings)
    case 'api': return apiPolicy(policy)
    case 'asset': return assetPolicy(policy)
  }
}

/** The policy tells where to report to, unless it does so itself. */
function withReporting (policy: StaticContentSecurityPolicy, { reporting }: Settings): StaticContentSecurityPolicy {
  if (reporting === false || reporting.own === undefined) return policy
  if (policy['report-to'] !== undefined || policy['report-uri'] !== undefined) return policy
  // Browsers that know report-to leave report-uri alone.
  return { ...policy, 'report-uri': [reporting.own.path], 'report-to': [reporting.own.endpoint] }
}

function compileHead (settings: Settings, contentClass: ContentClass, connection: Connection, isNotModified: boolean): Head {
  const all = headersOf(settings, contentClass, connection)
  // A 304 updates the headers of the cached page, whose nonces a new policy would turn into violations.
  const headers = isNotModified ? all.filter(({ name }) => !CSP_HEADERS.has(name) && name !== 'cache-control') : all
  const list = headers.flatMap(({ name, value }) => [name, value])
  if (contentClass !== 'document' || isNotModified) return { list, nonces: [], needsNonce: false }

  const nonced = headersOf(nonceSettings(settings), contentClass, connection)
  const nonces = headers.flatMap(({ name }, position) => {
    const around = nonced.find(header => header.name === name)?.value.split(NONCE) ?? []
    return CSP_HEADERS.has(name) && around.length > 1 ? [{ index: 2 * position + 1, around }] : []
  }).map(({ index, around }) => ({ index, around: around.map((part, i) => quoteNonce(part, i, around.length)) }))
  return { list, nonces, needsNonce: list.some((value, i) => i % 2 === 1 && value.includes(NONCE)) }
}

/** `'nonce'` stands for `'nonce-<value>'`: the parts carry all but the value. */
function quoteNonce (part: string, position: number, count: number): string {
  return (position === 0 ? '' : "'") + part + (position === count - 1 ? '' : "'nonce-")
}

function nonceSettings (settings: Settings): Settings {
  const nonced = (policy: ContentSecurityPolicy | false): StaticContentSecurityPolicy | false =>
    policy && withNonce(withoutFunctions(policy))
  return {
    ...settings,
    contentSecurityPolicy: nonced(settings.contentSecurityPolicy),
    contentSecurityPolicyReportOnly: nonced(settings.contentSecurityPolicyReportOnly),
  }
}
