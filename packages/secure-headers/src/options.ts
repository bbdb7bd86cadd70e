import { nested, oneOf, optionChecker, type OptionRules, type Rule } from '@fastkeep/options'
import type { ValueOf } from './headers/fixed-value.js'
import {
  CONTENT_SECURITY_POLICY_RULES, checkContentSecurityPolicy, type ContentSecurityPolicyOptions,
} from './headers/content-security-policy.js'
import { crossOriginEmbedderPolicy } from './headers/cross-origin-embedder-policy.js'
import { crossOriginOpenerPolicy } from './headers/cross-origin-opener-policy.js'
import { crossOriginResourcePolicy } from './headers/cross-origin-resource-policy.js'
import { originAgentCluster } from './headers/origin-agent-cluster.js'
import { PERMISSIONS_POLICY_RULES, checkPermissionsPolicy, type PermissionsPolicyOptions } from './headers/permissions-policy.js'
import { referrerPolicy } from './headers/referrer-policy.js'
import { STRICT_TRANSPORT_SECURITY_RULES, type StrictTransportSecurityOptions } from './headers/strict-transport-security.js'
import { xContentTypeOptions } from './headers/x-content-type-options.js'
import { xDnsPrefetchControl } from './headers/x-dns-prefetch-control.js'
import { xFrameOptions } from './headers/x-frame-options.js'
import { xPermittedCrossDomainPolicies } from './headers/x-permitted-cross-domain-policies.js'
import { xXssProtection } from './headers/x-xss-protection.js'

/** The headers with one word as their value, by the name of their option. */
export const FIXED_VALUE_HEADERS = {
  crossOriginOpenerPolicy,
  crossOriginEmbedderPolicy,
  crossOriginResourcePolicy,
  originAgentCluster,
  referrerPolicy,
  xContentTypeOptions,
  xDnsPrefetchControl,
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
  readonly contentSecurityPolicy?: ContentSecurityPolicyOptions | false
  /** Sent over TLS only, and never to `localhost` or an IP address. */
  readonly strictTransportSecurity?: StrictTransportSecurityOptions | false
  readonly permissionsPolicy?: PermissionsPolicyOptions | false
}

/** The route option `secureHeaders`: `false` sends no header of this plugin, an object changes the scope's policy. */
export type SecureHeadersRouteOption = SecureHeadersOptions | false

const RULES: OptionRules = {
  contentSecurityPolicy: falseOr(CONTENT_SECURITY_POLICY_RULES),
  strictTransportSecurity: falseOr(STRICT_TRANSPORT_SECURITY_RULES),
  permissionsPolicy: falseOr(PERMISSIONS_POLICY_RULES),
  ...Object.fromEntries(Object.entries(FIXED_VALUE_HEADERS).map(([option, header]) =>
    [option, oneOf([...header.values, false])])),
}

export const checkOptions = optionChecker('secure-headers')

/**
 * @throws `FST_KEEP_SECURE_HEADERS_OPTION_UNKNOWN`, `..._OPTION_INVALID`, `..._CSP`, `..._PERMISSIONS_POLICY`
 */
export function checkPluginOptions (options: SecureHeadersOptions): void {
  checkOptions(options, RULES)
  checkValues(options)
}

/** What the keys of the route option have before them in errors. */
export const ROUTE_OPTION_PATH = 'secureHeaders.'

/** The same for the route option, whose keys the errors name as `secureHeaders.<key>`. */
export function checkRouteOption (option: SecureHeadersRouteOption): void {
  checkOptions({ secureHeaders: option }, { secureHeaders: falseOr(RULES) })
  if (option !== false) checkValues(option, ROUTE_OPTION_PATH)
}

function checkValues ({ contentSecurityPolicy, permissionsPolicy }: SecureHeadersOptions, path = ''): void {
  if (contentSecurityPolicy) checkContentSecurityPolicy(contentSecurityPolicy, `${path}contentSecurityPolicy`)
  if (permissionsPolicy) checkPermissionsPolicy(permissionsPolicy, `${path}permissionsPolicy`)
}

function falseOr (rules: OptionRules): Rule {
  const object = nested(rules)
  return { ...object, expected: `false or ${object.expected}`, accepts: value => value === false || object.accepts(value) }
}
