import { errorCodes, secureHeaders } from './plugin.js'

// require() gives this one value, so what else the package exports is reached through it.
const plugin = Object.assign(secureHeaders, { secureHeaders, errorCodes })

export default plugin
export { plugin as secureHeaders, plugin as 'module.exports', errorCodes }
export { type SecureHeadersOptions, type SecureHeadersRouteOption } from './options.js'
export { type ContentSecurityPolicyOptions, type CspDirectives } from './headers/content-security-policy.js'
export { type CspDirective } from './headers/content-security-policy-grammar.js'
export { type PermissionsPolicyFeature, type PermissionsPolicyOptions } from './headers/permissions-policy.js'
export { type StrictTransportSecurityOptions } from './headers/strict-transport-security.js'
