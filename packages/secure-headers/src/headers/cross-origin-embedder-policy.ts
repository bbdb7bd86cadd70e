import { fixedValue } from './fixed-value.js'

/**
 * Lets the page embed only what agrees to it. Off unless asked for: it breaks cross-origin images.
 * https://html.spec.whatwg.org/multipage/browsers.html#coep
 */
export const crossOriginEmbedderPolicy = fixedValue('cross-origin-embedder-policy', [
  'require-corp', 'credentialless', 'unsafe-none',
], false)
