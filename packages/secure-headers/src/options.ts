import { boolean, nested, oneOf, optionChecker, type OptionRules, type Rule } from '@fastkeep/options'
import type { ValueOf } from './headers/fixed-value.js'
import { CACHE_CONTROL_RULES, type CacheControlOptions } from './headers/cache-control.js'
import type { ContentSecurityPolicyOptions } from './headers/content-security-policy.js'
import { CONTENT_SECURITY_POLICY_RULES, explainMistakes } from './headers/content-security-policy-options.js'
import { crossOriginEmbedderPolicy, crossOriginEmbedderPolicyReportOnly } from './headers/cross-origin-embedder-policy.js'
import { crossOriginOpenerPolicy, crossOriginOpenerPolicyReportOnly } from './headers/cross-origin-opener-policy.js'
import { crossOriginResourcePolicy } from './headers/cross-origin-resource-policy.js'
import { INTEGRITY_POLICY_RULES, type IntegrityPolicyOptions } from './headers/integrity-policy.js'
import { originAgentCluster } from './headers/origin-agent-cluster.js'
import { PERMISSIONS_POLICY_RULES, checkPermissionsPolicy, type PermissionsPolicyOptions } from './headers/permissions-policy.js'
import { referrerPolicy } from './headers/referrer-policy.js'
import { STRICT_TRANSPORT_SECURITY_RULES, type StrictTransportSecurityOptions } from './headers/strict-transport-security.js'
import { xContentTypeOptions } from './headers/x-content-type-options.js'
import { xDnsPrefetchControl } from './headers/x-dns-prefetch-control.js'
import { xDownloadOptions } from './headers/x-download-options.js'
import { xFrameOptions } from './headers/x-frame-options.js'
import { xPermittedCrossDomainPolicies } from './headers/x-permitted-cross-domain-policies.js'
import { xXssProtection } from './headers/x-xss-protection.js'
import { PRESET_NAMES, type PresetName } from './presets.js'
import { REPORTING_RULES, checkReporting, type ReportingOptions } from './reporting/options.js'

/** The headers with one word as their value, by the name of their option. */
export const FIXED_VALUE_HEADERS = {
  crossOriginOpenerPolicy,
  crossOriginOpenerPolicyReportOnly,
  crossOriginEmbedderPolicy,
  crossOriginEmbedderPolicyReportOnly,
  crossOriginResourcePolicy,
  originAgentCluster,
  referrerPolicy,
  xContentTypeOptions,
  xDnsPrefetchControl,
  xDownloadOptions,
  xFrameOptions,
  xPermittedCrossDomainPolicies,
  xXssProtection,
} as const

export type FixedValueOption = keyof typeof FIXED_VALUE_HEADERS

type FixedValueOptions = { readonly [Option in FixedValueOption]?: ValueOf<typeof FIXED_VALUE_HEADERS[Option]> }

/**
 * Changes to the inherited policy, header by header; `false` sends none. What is not given stays as it is inherited:
 * a route inherits from its scope, a scope from the scope around it, the outermost from the package's defaults.
 *
 * @example { contentSecurityPolicy: { directives: { imgSrc: ["'self'", 'https://img.example'] } }, xFrameOptions: false }
 */
export interface SecureHeadersOptions extends FixedValueOptions {
  /** A whole policy in place of the inherited one; the other options change it. */
  readonly preset?: PresetName
  readonly contentSecurityPolicy?: ContentSecurityPolicyOptions | false
  /** A second policy, which is reported on and not enforced. Default: none; an object starts from the package's defaults. */
  readonly contentSecurityPolicyReportOnly?: ContentSecurityPolicyOptions | false
  /** Sent over TLS only, and never to `localhost` or an IP address. */
  readonly strictTransportSecurity?: StrictTransportSecurityOptions | false
  readonly permissionsPolicy?: PermissionsPolicyOptions | false
  readonly integrityPolicy?: IntegrityPolicyOptions | false
  readonly integrityPolicyReportOnly?: IntegrityPolicyOptions | false
  readonly cacheControl?: CacheControlOptions | false
  /** Adds the route that takes browsers' reports, and tells browsers of it. Default: none. */
  readonly reporting?: ReportingOptions | false
  /** Removes `Server` and `X-Powered-By`, whoever set them. Default `true`. */
  readonly hideServerIdentity?: boolean
}

/** What a registration takes besides. */
export interface SecureHeadersPluginOptions extends SecureHeadersOptions {
  /** `false` sends no header of this plugin in this scope; a route's own option still does. Default `true`. */
  readonly enabled?: boolean
}

/** A route, and one response, add no reporting route: they can only leave the reporting headers out. */
export interface SecureHeadersChanges extends Omit<SecureHeadersOptions, 'reporting'> {
  readonly reporting?: false
}

/** The route option `secureHeaders`: `false` sends no header of this plugin, an object changes the scope's policy. */
export type SecureHeadersRouteOption = SecureHeadersChanges | false

const RULES: OptionRules = {
  preset: oneOf(PRESET_NAMES),
  contentSecurityPolicy: falseOr(CONTENT_SECURITY_POLICY_RULES),
  contentSecurityPolicyReportOnly: falseOr(CONTENT_SECURITY_POLICY_RULES),
  strictTransportSecurity: falseOr(STRICT_TRANSPORT_SECURITY_RULES),
  permissionsPolicy: falseOr(PERMISSIONS_POLICY_RULES),
  integrityPolicy: falseOr(INTEGRITY_POLICY_RULES),
  integrityPolicyReportOnly: falseOr(INTEGRITY_POLICY_RULES),
  cacheControl: falseOr(CACHE_CONTROL_RULES),
  reporting: oneOf([false]),
  hideServerIdentity: boolean,
  ...Object.fromEntries(Object.entries(FIXED_VALUE_HEADERS).map(([option, header]) =>
    [option, oneOf([...header.values, false])])),
}

export const checkOptions = optionChecker('secure-headers')

const PLUGIN_RULES: OptionRules = { ...RULES, enabled: boolean, reporting: falseOr(REPORTING_RULES) }

/**
 * @throws `FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN`, `..._OPTION_INVALID`, `..._CSP`, `..._PERMISSIONS_POLICY`
 */
export function checkPluginOptions (options: SecureHeadersPluginOptions): void {
  explain(options)
  checkOptions(options, PLUGIN_RULES)
  checkValues(options)
  if (options.reporting) checkReporting(options.reporting, 'reporting')
}

/** What the keys of the route option have before them in errors. */
export const ROUTE_OPTION_PATH = 'secureHeaders.'

/** The same for the option of a route or of one response, whose keys the errors name as `secureHeaders.<key>`. */
export function checkRouteOption (option: SecureHeadersRouteOption): void {
  explain(option, ROUTE_OPTION_PATH)
  checkOptions({ secureHeaders: option }, { secureHeaders: falseOr(RULES) })
  if (option !== false) checkValues(option, ROUTE_OPTION_PATH)
}

function explain (options: unknown, path = ''): void {
  if (typeof options !== 'object' || options === null) return
  const { contentSecurityPolicy, contentSecurityPolicyReportOnly } = options as Readonly<Record<string, unknown>>
  explainMistakes(contentSecurityPolicy, `${path}contentSecurityPolicy`)
  explainMistakes(contentSecurityPolicyReportOnly, `${path}contentSecurityPolicyReportOnly`)
}

function checkValues ({ permissionsPolicy }: SecureHeadersChanges | SecureHeadersOptions, path = ''): void {
  if (permissionsPolicy) checkPermissionsPolicy(permissionsPolicy, `${path}permissionsPolicy`)
}

function falseOr (rules: OptionRules): Rule {
  const object = nested(rules)
  return { ...object, expected: `false or ${object.expected}`, accepts: value => value === false || object.accepts(value) }
}
