import { createHash } from 'node:crypto'
import { CspInvalid } from './errors.js'

const ALGORITHMS = ['sha256', 'sha384', 'sha512'] as const

export type CspHashAlgorithm = typeof ALGORITHMS[number]

/**
 * The CSP source that lets exactly this inline block run, quotes included.
 *
 * @param text what stands between `<script>` and `</script>`, or `<style>` and `</style>`, to the last blank
 * @throws `FST_KEEP_SECURE_HEADERS_CSP` for an algorithm that CSP does not have
 * @example { scriptSrc: { append: [hash("console.log('runs')")] } }
 * @see https://w3c.github.io/webappsec-csp/#grammardef-hash-source
 */
export function hash (text: string, algorithm: CspHashAlgorithm = 'sha256'): string {
  if (!ALGORITHMS.includes(algorithm)) {
    throw new CspInvalid('algorithm', `hash() cannot use ${JSON.stringify(algorithm)}. There are: ${ALGORITHMS.join(', ')}`)
  }
  return `'${algorithm}-${createHash(algorithm).update(text, 'utf8').digest('base64')}'`
}
