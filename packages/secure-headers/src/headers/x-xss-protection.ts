import { fixedValue } from './fixed-value.js'

/**
 * Turns off the XSS auditor of old browsers, which could itself be used for an attack.
 * https://owasp.org/www-project-secure-headers/#x-xss-protection
 */
export const xXssProtection = fixedValue('x-xss-protection', ['0', '1; mode=block'], '0')
