import { fixedValue } from './fixed-value.js'

/**
 * Keeps a page of another origin from holding a reference to this page's window.
 * https://html.spec.whatwg.org/multipage/browsers.html#the-coop-headers
 */
export const crossOriginOpenerPolicy = fixedValue('cross-origin-opener-policy', [
  'same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none',
], 'same-origin')
