import { arrayOf, oneOf, string, type OptionRules } from '@fastkeep/options'

/** What may not be loaded without an `integrity` attribute. `style` is known to Firefox only. */
export type IntegrityDestination = 'script' | 'style'

export interface IntegrityPolicyOptions {
  /** Default `['script']`. */
  readonly blockedDestinations?: readonly IntegrityDestination[]
  /** Names of reporting endpoints. Default: the endpoint of the option `reporting`, where that is on. */
  readonly endpoints?: readonly string[]
}

export type IntegrityPolicy = Readonly<Required<IntegrityPolicyOptions>>

/** Off unless asked for: it needs an `integrity` attribute on each script of each page. */
export const INTEGRITY_POLICY_START: IntegrityPolicy = { blockedDestinations: ['script'], endpoints: [] }

export const INTEGRITY_POLICY_RULES: OptionRules = {
  blockedDestinations: arrayOf(oneOf(['script', 'style'])),
  endpoints: arrayOf(string('the name of a reporting endpoint, such as "security"', /^[a-z*][a-z0-9_.*-]*$/)),
}

/** The inherited values with the given ones laid over them. */
export function mergeIntegrityPolicy (inherited: IntegrityPolicy, given: IntegrityPolicyOptions): IntegrityPolicy {
  return {
    blockedDestinations: [...given.blockedDestinations ?? inherited.blockedDestinations],
    endpoints: [...given.endpoints ?? inherited.endpoints],
  }
}

/** The header's value, https://w3c.github.io/webappsec-subresource-integrity/#integrity-policy-section */
export function integrityPolicy ({ blockedDestinations, endpoints }: IntegrityPolicy, endpoint: string | undefined): string {
  const reportTo = endpoints.length > 0 || endpoint === undefined ? endpoints : [endpoint]
  const value = `blocked-destinations=(${blockedDestinations.join(' ')})`
  return reportTo.length === 0 ? value : `${value}, endpoints=(${reportTo.join(' ')})`
}
