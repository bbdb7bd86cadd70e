import { hardenedFactoryOptions } from './factory-options.js'
import { hash } from './hash.js'
import { NONCE } from './headers/content-security-policy-grammar.js'
import { errorCodes, secureHeaders } from './plugin.js'
import { REPORT_CHANNEL } from './reporting/route.js'

// require() gives this one value, so what else the package exports is reached through it.
const plugin = Object.assign(secureHeaders, { secureHeaders, hardenedFactoryOptions, hash, NONCE, REPORT_CHANNEL, errorCodes })

export default plugin
export { plugin as secureHeaders, plugin as 'module.exports', hardenedFactoryOptions, hash, NONCE, REPORT_CHANNEL, errorCodes }
export {
  type SecureHeadersChanges, type SecureHeadersOptions, type SecureHeadersPluginOptions, type SecureHeadersRouteOption,
} from './options.js'
export { type SecureHeadersInspection } from './plugin.js'
export { type DescribedHeader, type Description, type RouteName } from './describe.js'
export { type ContentClass } from './content-class.js'
export { type CspHashAlgorithm } from './hash.js'
export { type CspNonce } from './nonce-views.js'
export { type PresetName } from './presets.js'
export { type CacheControlOptions } from './headers/cache-control.js'
export { type SiteData } from './headers/clear-site-data.js'
export { type ContentSecurityPolicyOptions, type CspSource } from './headers/content-security-policy.js'
export { type CspDirectiveChange, type CspDirectives } from './headers/content-security-policy-options.js'
export { type CspDirective } from './headers/content-security-policy-grammar.js'
export { type IntegrityDestination, type IntegrityPolicyOptions } from './headers/integrity-policy.js'
export { type PermissionsPolicyFeature, type PermissionsPolicyOptions } from './headers/permissions-policy.js'
export { type StrictTransportSecurityOptions } from './headers/strict-transport-security.js'
export { type ReportingOptions } from './reporting/options.js'
export { type CspViolation, type SecurityReport } from './reporting/report.js'
export { type SecurityReportMessage } from './reporting/route.js'
