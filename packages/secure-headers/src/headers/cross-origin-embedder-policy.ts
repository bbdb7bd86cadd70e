import { fixedValue } from './fixed-value.js'

const VALUES = ['require-corp', 'credentialless', 'unsafe-none'] as const

/**
 * Lets the page embed only what agrees to it. Off unless asked for: it breaks cross-origin images.
 * https://html.spec.whatwg.org/multipage/browsers.html#coep
 */
export const crossOriginEmbedderPolicy = fixedValue('cross-origin-embedder-policy', VALUES, false, { isReported: true })

/** Reports what the policy would break and breaks nothing. */
export const crossOriginEmbedderPolicyReportOnly =
  fixedValue('cross-origin-embedder-policy-report-only', VALUES, false, { isReported: true })
