import { compileContentSecurityPolicy, type CompiledPolicy, type ContentSecurityPolicyOptions } from './content-security-policy.js'

export interface PolicyOption<Policy> {
  readonly policy?: Policy
}

/** The options of helmet 8.3; of a pair of names only one may be given. */
export interface HelmetOptions {
  readonly contentSecurityPolicy?: ContentSecurityPolicyOptions | boolean
  readonly crossOriginEmbedderPolicy?: PolicyOption<'require-corp' | 'credentialless' | 'unsafe-none'> | boolean
  readonly crossOriginOpenerPolicy?: PolicyOption<'same-origin' | 'same-origin-allow-popups' | 'noopener-allow-popups' | 'unsafe-none'> | boolean
  readonly crossOriginResourcePolicy?: PolicyOption<'same-origin' | 'same-site' | 'cross-origin'> | boolean
  readonly originAgentCluster?: boolean
  readonly referrerPolicy?: PolicyOption<ReferrerToken | readonly ReferrerToken[]> | boolean
  readonly strictTransportSecurity?: HstsOptions | boolean
  readonly hsts?: HstsOptions | boolean
  readonly xContentTypeOptions?: boolean
  readonly noSniff?: boolean
  readonly xDnsPrefetchControl?: { readonly allow?: boolean } | boolean
  readonly dnsPrefetchControl?: { readonly allow?: boolean } | boolean
  readonly xDownloadOptions?: boolean
  readonly ieNoOpen?: boolean
  readonly xFrameOptions?: { readonly action?: 'deny' | 'sameorigin' } | boolean
  readonly frameguard?: { readonly action?: 'deny' | 'sameorigin' } | boolean
  readonly xPermittedCrossDomainPolicies?: { readonly permittedPolicies?: CrossDomainPolicy } | boolean
  readonly permittedCrossDomainPolicies?: { readonly permittedPolicies?: CrossDomainPolicy } | boolean
  readonly xPoweredBy?: boolean
  readonly hidePoweredBy?: boolean
  readonly xXssProtection?: boolean
  readonly xssFilter?: boolean
}

export type ReferrerToken = 'no-referrer' | 'no-referrer-when-downgrade' | 'same-origin' | 'origin' | 'strict-origin' |
  'origin-when-cross-origin' | 'strict-origin-when-cross-origin' | 'unsafe-url' | ''

type CrossDomainPolicy = 'none' | 'master-only' | 'by-content-type' | 'all'

export interface HstsOptions {
  /** Seconds. Default 31536000. */
  readonly maxAge?: number
  readonly includeSubDomains?: boolean
  readonly preload?: boolean
}

type Given = Readonly<Record<string, unknown>>

interface HelmetHeader {
  readonly name: string
  readonly option: keyof HelmetOptions
  /** The option's older name. */
  readonly alias?: keyof HelmetOptions
  /** Default `true`. */
  readonly isDefault?: boolean
  /** `undefined` removes the header. */
  value (given: Given): string | undefined
  /** Its option is a boolean and nothing else. */
  readonly takesNoOptions?: boolean
}

/** In the order in which helmet sets them. */
const HEADERS: readonly HelmetHeader[] = [
  {
    name: 'Cross-Origin-Embedder-Policy',
    option: 'crossOriginEmbedderPolicy',
    isDefault: false,
    value: policyOf('Cross-Origin-Embedder-Policy', ['require-corp', 'credentialless', 'unsafe-none']),
  },
  {
    name: 'Cross-Origin-Opener-Policy',
    option: 'crossOriginOpenerPolicy',
    value: policyOf('Cross-Origin-Opener-Policy', ['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none']),
  },
  {
    name: 'Cross-Origin-Resource-Policy',
    option: 'crossOriginResourcePolicy',
    value: policyOf('Cross-Origin-Resource-Policy', ['same-origin', 'same-site', 'cross-origin']),
  },
  { name: 'Origin-Agent-Cluster', option: 'originAgentCluster', value: () => '?1', takesNoOptions: true },
  { name: 'Referrer-Policy', option: 'referrerPolicy', value: referrerPolicy },
  { name: 'Strict-Transport-Security', option: 'strictTransportSecurity', alias: 'hsts', value: strictTransportSecurity },
  { name: 'X-Content-Type-Options', option: 'xContentTypeOptions', alias: 'noSniff', value: () => 'nosniff', takesNoOptions: true },
  {
    name: 'X-DNS-Prefetch-Control',
    option: 'xDnsPrefetchControl',
    alias: 'dnsPrefetchControl',
    value: ({ allow }) => allow ? 'on' : 'off',
  },
  { name: 'X-Download-Options', option: 'xDownloadOptions', alias: 'ieNoOpen', value: () => 'noopen', takesNoOptions: true },
  { name: 'X-Frame-Options', option: 'xFrameOptions', alias: 'frameguard', value: frameOptions },
  {
    name: 'X-Permitted-Cross-Domain-Policies',
    option: 'xPermittedCrossDomainPolicies',
    alias: 'permittedCrossDomainPolicies',
    value: ({ permittedPolicies = 'none' }) => {
      if (['none', 'master-only', 'by-content-type', 'all'].includes(permittedPolicies as string)) return permittedPolicies as string
      throw new Error(`X-Permitted-Cross-Domain-Policies does not support ${JSON.stringify(permittedPolicies)}`)
    },
  },
  { name: 'X-Powered-By', option: 'xPoweredBy', alias: 'hidePoweredBy', value: () => undefined, takesNoOptions: true },
  { name: 'X-XSS-Protection', option: 'xXssProtection', alias: 'xssFilter', value: () => '0', takesNoOptions: true },
]

function policyOf (name: string, policies: readonly [string, ...string[]]): HelmetHeader['value'] {
  return ({ policy = policies[0] }) => {
    if (policies.includes(policy as string)) return policy as string
    throw new Error(`${name} does not support the ${JSON.stringify(policy)} policy`)
  }
}

const REFERRER_TOKENS = ['no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin',
  'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url', '']

function referrerPolicy ({ policy = ['no-referrer'] }: Given): string {
  const tokens = (typeof policy === 'string' ? [policy] : policy) as readonly string[]
  if (tokens.length === 0) throw new Error('Referrer-Policy received no policy tokens')
  for (const [i, token] of tokens.entries()) {
    if (!REFERRER_TOKENS.includes(token)) throw new Error(`Referrer-Policy received an unexpected policy token ${JSON.stringify(token)}`)
    if (tokens.indexOf(token) < i) throw new Error(`Referrer-Policy received a duplicate policy token ${JSON.stringify(token)}`)
  }
  return tokens.join(',')
}

function strictTransportSecurity (given: Given): string {
  if ('maxage' in given) throw new Error('Strict-Transport-Security received an unsupported property, `maxage`. Did you mean to pass `maxAge`?')
  if ('includeSubdomains' in given) {
    throw new Error('Strict-Transport-Security middleware should use `includeSubDomains` instead of `includeSubdomains`. (The correct one has an uppercase "D".)')
  }
  const { maxAge = 31_536_000, includeSubDomains = true, preload } = given
  if (!Number.isFinite(maxAge) || (maxAge as number) < 0) {
    throw new Error(`Strict-Transport-Security: ${JSON.stringify(maxAge)} is not a valid value for maxAge. Please choose a positive integer.`)
  }
  return `max-age=${Math.floor(maxAge as number)}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`
}

function frameOptions ({ action = 'sameorigin' }: Given): string {
  const value = typeof action === 'string' ? action.toUpperCase().replace('SAME-ORIGIN', 'SAMEORIGIN') : action
  if (value === 'DENY' || value === 'SAMEORIGIN') return value
  throw new Error(`X-Frame-Options received an invalid action ${JSON.stringify(action)}`)
}

/** All headers of one configuration. */
export interface CompiledHeaders {
  readonly contentSecurityPolicy: CompiledPolicy | undefined
  /** A value of `undefined` removes the header. */
  readonly others: ReadonlyArray<readonly [name: string, value: string | undefined]>
}

/**
 * @param warn is told what helmet itself would print
 * @throws Error with the messages of helmet
 */
export function compileHeaders (options: HelmetOptions, warn: (message: string) => void): CompiledHeaders {
  const { contentSecurityPolicy: policy = true } = options
  return {
    contentSecurityPolicy: policy === false ? undefined : compileContentSecurityPolicy(policy === true ? {} : policy),
    others: HEADERS.flatMap(header => {
      const given = optionOf(header, options)
      if (given === false) return []
      if (header.takesNoOptions === true && given !== true) warn(`${header.name} does not take options. Remove the property to silence this warning.`)
      return [[header.name, header.value(given === true ? {} : given as Given)] as const]
    }),
  }
}

function optionOf ({ name, option, alias, isDefault = true }: HelmetHeader, options: HelmetOptions): unknown {
  if (alias === undefined) return options[option] ?? isDefault
  if (option in options && alias in options) throw new Error(`${name} option was specified twice. Remove the \`${alias}\` option to fix this error.`)
  return options[option] ?? options[alias] ?? isDefault
}
