import {
  CONTENT_SECURITY_POLICY_DEFAULTS, contentSecurityPolicy, mergeContentSecurityPolicy, withNonce,
  type ContentSecurityPolicy,
} from './headers/content-security-policy.js'
import {
  PERMISSIONS_POLICY_DEFAULTS, mergePermissionsPolicy, permissionsPolicy, type PermissionsPolicy,
} from './headers/permissions-policy.js'
import {
  STRICT_TRANSPORT_SECURITY_DEFAULTS, mergeStrictTransportSecurity, strictTransportSecurity, type StrictTransportSecurity,
} from './headers/strict-transport-security.js'
import { FIXED_VALUE_HEADERS, type FixedValueOption, type SecureHeadersOptions } from './options.js'

/** All that options decide, resolved: what a route or scope inherits and changes. */
export interface Settings {
  readonly contentSecurityPolicy: ContentSecurityPolicy | false
  readonly strictTransportSecurity: StrictTransportSecurity | false
  readonly permissionsPolicy: PermissionsPolicy | false
  readonly fixedValues: Readonly<Record<FixedValueOption, string | false>>
}

export const DEFAULT_SETTINGS: Settings = {
  contentSecurityPolicy: CONTENT_SECURITY_POLICY_DEFAULTS,
  strictTransportSecurity: STRICT_TRANSPORT_SECURITY_DEFAULTS,
  permissionsPolicy: PERMISSIONS_POLICY_DEFAULTS,
  fixedValues: mapFixedValues(option => FIXED_VALUE_HEADERS[option].default),
}

/**
 * The inherited settings with checked options laid over them, directive by directive. A header that was off and gets
 * an object starts from the package's defaults.
 *
 * @param path that the keys of `options` have before them in errors
 * @throws `FST_KEEP_SECURE_HEADERS_HSTS_PRELOAD` where the result asks for preload without what that needs
 */
export function mergeSettings (inherited: Settings, options: SecureHeadersOptions, path = ''): Settings {
  return {
    contentSecurityPolicy: resolve(inherited.contentSecurityPolicy, options.contentSecurityPolicy,
      CONTENT_SECURITY_POLICY_DEFAULTS, mergeContentSecurityPolicy),
    strictTransportSecurity: resolve(inherited.strictTransportSecurity, options.strictTransportSecurity,
      STRICT_TRANSPORT_SECURITY_DEFAULTS,
      (base, given) => mergeStrictTransportSecurity(base, given, `${path}strictTransportSecurity`)),
    permissionsPolicy: resolve(inherited.permissionsPolicy, options.permissionsPolicy,
      PERMISSIONS_POLICY_DEFAULTS, mergePermissionsPolicy),
    fixedValues: mapFixedValues(option => options[option] ?? inherited.fixedValues[option]),
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

/** Header values by name in lower case. */
export type Headers = Readonly<Record<string, string>>

/** The finished headers of one policy for one kind of connection. */
export interface ConnectionHeaders {
  readonly all: Headers
  /** A 304 updates the headers of the cached page, whose nonces a new policy would turn into violations. */
  readonly notModified: Headers
  /** The policy's value in pieces, between which the nonce goes; `undefined` where there is no policy. */
  readonly cspAroundNonce: readonly string[] | undefined
}

/** A policy with nothing left to compute but the nonce. */
export interface Policy {
  readonly plain: ConnectionHeaders
  readonly secure: ConnectionHeaders
  /** Over TLS, to a host that may be told to use nothing else. */
  readonly secureWithHsts: ConnectionHeaders
}

export function compilePolicy (settings: Settings): Policy {
  return {
    plain: connectionHeaders(settings, false, false),
    secure: connectionHeaders(settings, true, false),
    secureWithHsts: connectionHeaders(settings, true, true),
  }
}

const CSP = 'content-security-policy'
// No option can hold this character, so it marks the place of the nonce and nothing else.
const NONCE_PLACE = '\0'

function connectionHeaders (settings: Settings, isSecure: boolean, hasHsts: boolean): ConnectionHeaders {
  const notModified: Record<string, string> = {}
  if (hasHsts && settings.strictTransportSecurity) {
    notModified['strict-transport-security'] = strictTransportSecurity(settings.strictTransportSecurity)
  }
  for (const [option, value] of Object.entries(settings.fixedValues)) {
    if (value !== false) notModified[FIXED_VALUE_HEADERS[option as FixedValueOption].name] = value
  }
  const permissions = settings.permissionsPolicy && permissionsPolicy(settings.permissionsPolicy)
  if (permissions) notModified['permissions-policy'] = permissions

  const csp = settings.contentSecurityPolicy && contentSecurityPolicy(settings.contentSecurityPolicy, isSecure)
  if (!csp) return { all: notModified, notModified, cspAroundNonce: undefined }
  const cspAroundNonce =
    contentSecurityPolicy(withNonce(settings.contentSecurityPolicy, NONCE_PLACE), isSecure)?.split(NONCE_PLACE)
  return { all: { [CSP]: csp, ...notModified }, notModified, cspAroundNonce }
}

/** The headers of one response; `nonce` is `undefined` where nobody read one. */
export function responseHeaders (headers: ConnectionHeaders, statusCode: number, nonce: string | undefined): Headers {
  if (statusCode === 304) return headers.notModified
  if (nonce === undefined || headers.cspAroundNonce === undefined) return headers.all
  return { ...headers.all, [CSP]: headers.cspAroundNonce.join(nonce) }
}
