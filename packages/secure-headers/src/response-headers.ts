import type { ContentClass } from './content-class.js'
import {
  apiPolicy, assetPolicy, contentSecurityPolicy, reportOnlyPolicy, withoutFunctions, type StaticContentSecurityPolicy,
} from './headers/content-security-policy.js'
import { integrityPolicy } from './headers/integrity-policy.js'
import { permissionsPolicy } from './headers/permissions-policy.js'
import { strictTransportSecurity } from './headers/strict-transport-security.js'
import { FIXED_VALUE_HEADERS, type FixedValueOption } from './options.js'
import { reportTo, reportingEndpoints } from './reporting/options.js'
import type { Settings } from './settings.js'

/** `hsts`: over TLS, to a host that may be told to use nothing else. */
export type Connection = 'plain' | 'tls' | 'hsts'

/** One header of one kind of response, and which option decides it. */
export interface Header {
  /** In lower case. */
  readonly name: string
  readonly value: string
  readonly option: string
}

/** The headers of one kind of response, in the order in which they are sent. A nonce is its placeholder. */
export function headersOf (settings: Settings, contentClass: ContentClass, connection: Connection): Header[] {
  return [...contentSecurityPolicies(settings, contentClass, connection), ...otherHeaders(settings, contentClass, connection)]
}

/** The headers in which functions and nonces have a say. */
export function contentSecurityPolicies (settings: Settings, contentClass: ContentClass, connection: Connection): Header[] {
  const isSecure = connection !== 'plain'
  const reportOnly = contentClass === 'document' && settings.contentSecurityPolicyReportOnly
  return given([
    ['contentSecurityPolicy', 'content-security-policy',
      settings.contentSecurityPolicy && contentSecurityPolicy(ofClass(settings, contentClass), isSecure)],
    ['contentSecurityPolicyReportOnly', 'content-security-policy-report-only',
      reportOnly && contentSecurityPolicy(withReporting(reportOnlyPolicy(withoutFunctions(reportOnly)), settings), isSecure)],
  ])
}

/** The headers that are the same for each response of a kind. */
export function otherHeaders (settings: Settings, contentClass: ContentClass, connection: Connection): Header[] {
  const { strictTransportSecurity: hsts, integrityPolicy: integrity, integrityPolicyReportOnly: integrityReportOnly, reporting, cacheControl } = settings
  const isDocument = contentClass === 'document'
  const endpoint = reporting === false ? undefined : reporting.own?.endpoint
  const fixedValues = Object.entries(settings.fixedValues).map(([option, value]): MaybeHeader => {
    const { name, classes, isReported } = FIXED_VALUE_HEADERS[option as FixedValueOption]
    const isReportedTo = value !== false && isReported && endpoint !== undefined
    return [option, name, classes.includes(contentClass) && (isReportedTo ? `${value}; report-to="${endpoint}"` : value)]
  })
  return given([
    ['strictTransportSecurity', 'strict-transport-security', connection === 'hsts' && hsts && strictTransportSecurity(hsts)],
    ...fixedValues,
    ['permissionsPolicy', 'permissions-policy', isDocument && settings.permissionsPolicy && permissionsPolicy(settings.permissionsPolicy)],
    ['integrityPolicy', 'integrity-policy', isDocument && integrity && integrityPolicy(integrity, endpoint)],
    ['integrityPolicyReportOnly', 'integrity-policy-report-only', isDocument && integrityReportOnly && integrityPolicy(integrityReportOnly, endpoint)],
    ['reporting', 'reporting-endpoints', isDocument && reporting && reportingEndpoints(reporting)],
    ['reporting', 'report-to', isDocument && reporting && reportTo(reporting)],
    ['cacheControl', 'cache-control',
      cacheControl && (contentClass === 'api' || (isDocument && cacheControl.documents === 'always')) && cacheControl.value],
  ])
}

type MaybeHeader = readonly [option: string, name: string, value: string | false | undefined]

function given (headers: readonly MaybeHeader[]): Header[] {
  return headers.flatMap(([option, name, value]) => value === false || value === undefined || value === '' ? [] : [{ option, name, value }])
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
