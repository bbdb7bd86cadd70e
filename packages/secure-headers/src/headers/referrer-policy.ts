import { fixedValue } from './fixed-value.js'

/**
 * How much of this page's address the next one is told.
 * https://w3c.github.io/webappsec-referrer-policy/#referrer-policies
 */
export const referrerPolicy = fixedValue('referrer-policy', [
  'no-referrer', 'no-referrer-when-downgrade', 'origin', 'origin-when-cross-origin', 'same-origin', 'strict-origin',
  'strict-origin-when-cross-origin', 'unsafe-url',
], 'no-referrer')
