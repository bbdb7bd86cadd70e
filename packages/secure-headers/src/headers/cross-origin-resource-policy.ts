import { CONTENT_CLASSES } from '../content-class.js'
import { fixedValue } from './fixed-value.js'

/**
 * Keeps other origins from embedding the response.
 * https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header
 */
export const crossOriginResourcePolicy = fixedValue('cross-origin-resource-policy', [
  'same-origin', 'same-site', 'cross-origin',
], 'same-origin', { classes: CONTENT_CLASSES })
