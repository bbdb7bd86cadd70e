import { CACHE_CONTROL_DEFAULTS, mergeCacheControl, type CacheControl } from './headers/cache-control.js'
import {
  CONTENT_SECURITY_POLICY_DEFAULTS, mergeContentSecurityPolicy, type ContentSecurityPolicy,
} from './headers/content-security-policy.js'
import { INTEGRITY_POLICY_START, mergeIntegrityPolicy, type IntegrityPolicy } from './headers/integrity-policy.js'
import {
  PERMISSIONS_POLICY_DEFAULTS, mergePermissionsPolicy, type PermissionsPolicy,
} from './headers/permissions-policy.js'
import {
  STRICT_TRANSPORT_SECURITY_DEFAULTS, mergeStrictTransportSecurity, type StrictTransportSecurity,
} from './headers/strict-transport-security.js'
import { FIXED_VALUE_HEADERS, type FixedValueOption, type SecureHeadersOptions } from './options.js'
import { origins, type Origins } from './origins.js'
import { PRESETS } from './presets.js'
import type { Reporting } from './reporting/options.js'

/** All that options decide, resolved: what a route or scope inherits and changes. */
export interface Settings {
  readonly contentSecurityPolicy: ContentSecurityPolicy | false
  readonly contentSecurityPolicyReportOnly: ContentSecurityPolicy | false
  readonly strictTransportSecurity: StrictTransportSecurity | false
  readonly permissionsPolicy: PermissionsPolicy | false
  readonly integrityPolicy: IntegrityPolicy | false
  readonly integrityPolicyReportOnly: IntegrityPolicy | false
  readonly cacheControl: CacheControl | false
  /** Where browsers send reports. */
  readonly reporting: Reporting | false
  readonly hideServerIdentity: boolean
  readonly fixedValues: Readonly<Record<FixedValueOption, string | false>>
  readonly origins: Origins
}

export const DEFAULT_SETTINGS: Settings = {
  contentSecurityPolicy: CONTENT_SECURITY_POLICY_DEFAULTS,
  contentSecurityPolicyReportOnly: false,
  strictTransportSecurity: STRICT_TRANSPORT_SECURITY_DEFAULTS,
  permissionsPolicy: PERMISSIONS_POLICY_DEFAULTS,
  integrityPolicy: false,
  integrityPolicyReportOnly: false,
  cacheControl: CACHE_CONTROL_DEFAULTS,
  reporting: false,
  hideServerIdentity: true,
  fixedValues: mapFixedValues(option => FIXED_VALUE_HEADERS[option].default),
  origins: new Map(),
}

/** Who gives the options that are merged. */
export interface Giver {
  /** That the keys of the options have before them in errors; default none. */
  readonly path?: string
  /** What `describe()` calls it, such as `route`. */
  readonly name: string
}

/**
 * The inherited settings with checked options laid over them, directive by directive. A header that was off and gets
 * an object starts from the package's defaults. A preset takes the place of all that is inherited but the reporting.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_CSP`, `..._HSTS_PRELOAD` for a result that cannot hold
 */
export function mergeSettings (inherited: Settings, { preset, ...options }: SecureHeadersOptions, giver: Giver): Settings {
  if (preset === undefined) return merge(inherited, options, giver)
  const base = merge(DEFAULT_SETTINGS, PRESETS[preset], { name: `preset ${preset}` })
  return merge({ ...base, reporting: inherited.reporting }, options, giver)
}

function merge (inherited: Settings, options: SecureHeadersOptions, { path = '', name }: Giver): Settings {
  const policy = (option: 'contentSecurityPolicy' | 'contentSecurityPolicyReportOnly'): ContentSecurityPolicy | false =>
    resolve(inherited[option], options[option], CONTENT_SECURITY_POLICY_DEFAULTS,
      (base, given) => mergeContentSecurityPolicy(base, given, `${path}${option}`))
  return {
    contentSecurityPolicy: policy('contentSecurityPolicy'),
    contentSecurityPolicyReportOnly: policy('contentSecurityPolicyReportOnly'),
    strictTransportSecurity: resolve(inherited.strictTransportSecurity, options.strictTransportSecurity,
      STRICT_TRANSPORT_SECURITY_DEFAULTS,
      (base, given) => mergeStrictTransportSecurity(base, given, `${path}strictTransportSecurity`)),
    permissionsPolicy: resolve(inherited.permissionsPolicy, options.permissionsPolicy,
      PERMISSIONS_POLICY_DEFAULTS, mergePermissionsPolicy),
    integrityPolicy: resolve(inherited.integrityPolicy, options.integrityPolicy, INTEGRITY_POLICY_START, mergeIntegrityPolicy),
    integrityPolicyReportOnly: resolve(inherited.integrityPolicyReportOnly, options.integrityPolicyReportOnly,
      INTEGRITY_POLICY_START, mergeIntegrityPolicy),
    cacheControl: resolve(inherited.cacheControl, options.cacheControl, CACHE_CONTROL_DEFAULTS, mergeCacheControl),
    // An object makes a route, which is for the plugin to add; see there.
    reporting: options.reporting === false ? false : inherited.reporting,
    hideServerIdentity: options.hideServerIdentity ?? inherited.hideServerIdentity,
    fixedValues: mapFixedValues(option => options[option] ?? inherited.fixedValues[option]),
    origins: origins(inherited.origins, options, name),
  }
}

function resolve<Kept, Given> (
  inherited: Kept | false,
  given: Given | false | undefined,
  defaults: Kept,
  merge: (base: Kept, given: Given) => Kept
): Kept | false {
  if (given === undefined) return inherited
  if (given === false) return false
  return merge(inherited === false ? defaults : inherited, given)
}

function mapFixedValues (value: (option: FixedValueOption) => string | false): Settings['fixedValues'] {
  const options = Object.keys(FIXED_VALUE_HEADERS) as FixedValueOption[]
  return Object.fromEntries(options.map(option => [option, value(option)])) as Settings['fixedValues']
}
