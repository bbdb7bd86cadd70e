import { directiveNamed } from './headers/content-security-policy-options.js'
import type { SecureHeadersOptions } from './options.js'

/**
 * Who gave an option last, by its name, and by `option.part` for a directive of a policy or a feature. What is not
 * there is the package's default.
 */
export type Origins = ReadonlyMap<string, string>

export const DEFAULT_ORIGIN = 'default'

/** The options whose parts come from different givers. */
const PARTS: { readonly [Option in keyof SecureHeadersOptions]?: (given: object) => readonly string[] } = {
  contentSecurityPolicy: directiveNames,
  contentSecurityPolicyReportOnly: directiveNames,
  permissionsPolicy: Object.keys,
  strictTransportSecurity: Object.keys,
}

function directiveNames (given: { directives?: object }): readonly string[] {
  return Object.keys(given.directives ?? {}).flatMap(key => directiveNamed(key) ?? [])
}

/** The inherited origins with those of the options laid over them. */
export function origins (inherited: Origins, options: SecureHeadersOptions, giver: string): Origins {
  const merged = new Map(inherited)
  for (const [option, given] of Object.entries(options)) {
    if (given === undefined) continue
    merged.set(option, giver)
    const partsOf = PARTS[option as keyof SecureHeadersOptions]
    if (partsOf === undefined || typeof given !== 'object') continue
    for (const part of partsOf(given)) merged.set(`${option}.${part}`, giver)
  }
  return merged
}
