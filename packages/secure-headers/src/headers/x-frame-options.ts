import { fixedValue } from './fixed-value.js'

/**
 * What `frame-ancestors` says, for browsers without CSP 2.
 * https://html.spec.whatwg.org/multipage/document-lifecycle.html#the-x-frame-options-header
 */
export const xFrameOptions = fixedValue('x-frame-options', ['DENY', 'SAMEORIGIN'], 'DENY')
