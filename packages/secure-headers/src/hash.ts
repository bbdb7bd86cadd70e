import { createHash } from 'node:crypto'

export type CspHashAlgorithm = 'sha256' | 'sha384' | 'sha512'

/**
 * The CSP source that lets exactly this inline block run, quotes included.
 *
 * @param text what stands between `<script>` and `</script>`, or `<style>` and `</style>`, to the last blank
 * @example { scriptSrc: { append: [hash("console.log('runs')")] } }
 * @see https://w3c.github.io/webappsec-csp/#grammardef-hash-source
 */
export function hash (text: string, algorithm: CspHashAlgorithm = 'sha256'): string {
  return `'${algorithm}-${createHash(algorithm).update(text, 'utf8').digest('base64')}'`
}
