import { boolean, integer, type OptionRules } from '@fastkeep/options'
import { HstsPreloadIneligible } from '../errors.js'

export interface StrictTransportSecurityOptions {
  /** Seconds the browser remembers to use TLS only. Default 63072000 (two years); 0 makes it forget. */
  readonly maxAge?: number
  /** Default `true`. */
  readonly includeSubDomains?: boolean
  /** Asks for a place in the browsers' preload list. Default `false`: it is hard to undo. */
  readonly preload?: boolean
}

export type StrictTransportSecurity = Readonly<Required<StrictTransportSecurityOptions>>

export const STRICT_TRANSPORT_SECURITY_DEFAULTS: StrictTransportSecurity =
  { maxAge: 63_072_000, includeSubDomains: true, preload: false }

const PRELOAD_MIN_AGE = 31_536_000

export const STRICT_TRANSPORT_SECURITY_RULES: OptionRules = {
  maxAge: integer(0, 2 ** 31 - 1, 'seconds'),
  includeSubDomains: boolean,
  preload: boolean,
}

/**
 * The inherited values with the given ones laid over them.
 *
 * @param path of the option, for the error
 * @throws `FST_KEEP_SECURE_HEADERS_HSTS_PRELOAD` for `preload` with what https://hstspreload.org would not take
 */
export function mergeStrictTransportSecurity (
  inherited: StrictTransportSecurity,
  given: StrictTransportSecurityOptions,
  path: string
): StrictTransportSecurity {
  const maxAge = given.maxAge ?? inherited.maxAge
  const includeSubDomains = given.includeSubDomains ?? inherited.includeSubDomains
  const preload = given.preload ?? inherited.preload
  if (preload && (maxAge < PRELOAD_MIN_AGE || !includeSubDomains)) {
    throw new HstsPreloadIneligible(path, PRELOAD_MIN_AGE, `maxAge ${maxAge} and includeSubDomains ${includeSubDomains}`)
  }
  return { maxAge, includeSubDomains, preload }
}

/** The header's value, RFC 6797 section 6.1. */
export function strictTransportSecurity ({ maxAge, includeSubDomains, preload }: StrictTransportSecurity): string {
  return `max-age=${maxAge}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`
}

/**
 * Whether a host may be told to use TLS only. `localhost` and its subdomains may not: HSTS knows no ports, so it would
 * break each other project on the developer's machine. An IP address may not by RFC 6797 section 8.1.1.
 *
 * @param hostname without a port, an IPv6 address in its brackets, as Fastify's `request.hostname`
 */
export function isHstsHost (hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, '')
  if (host === '' || host.startsWith('[')) return false
  const lastLabel = host.slice(host.lastIndexOf('.') + 1)
  // A host whose last label is a number is an IPv4 address: https://url.spec.whatwg.org/#ends-in-a-number-checker
  return lastLabel !== 'localhost' && !/^(\d+|0x[0-9a-f]*)$/.test(lastLabel)
}
