import { fixedValue } from './fixed-value.js'

const VALUES = ['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'] as const

/**
 * Keeps a page of another origin from holding a reference to this page's window.
 * https://html.spec.whatwg.org/multipage/browsers.html#the-coop-headers
 */
export const crossOriginOpenerPolicy = fixedValue('cross-origin-opener-policy', VALUES, 'same-origin', { isReported: true })

/** Reports what the policy would break and breaks nothing. */
export const crossOriginOpenerPolicyReportOnly =
  fixedValue('cross-origin-opener-policy-report-only', VALUES, false, { isReported: true })
