import { fixedValue } from './fixed-value.js'

/**
 * Keeps names in links from being resolved before a click.
 * https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-DNS-Prefetch-Control
 */
export const xDnsPrefetchControl = fixedValue('x-dns-prefetch-control', ['off', 'on'], 'off')
