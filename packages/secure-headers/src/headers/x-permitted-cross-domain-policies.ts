import { fixedValue } from './fixed-value.js'

/**
 * Which cross-domain policy files Adobe's clients may take from this site.
 * https://owasp.org/www-project-secure-headers/#x-permitted-cross-domain-policies
 */
export const xPermittedCrossDomainPolicies = fixedValue('x-permitted-cross-domain-policies', [
  'none', 'master-only', 'by-content-type', 'all',
], 'none')
