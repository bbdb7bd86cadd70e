import { flagOf, type Given } from '@fastkeep/engine'
import { START_OPTIONS } from './command-options.js'

/** The arguments that say what was given, in the form that `parseFlags` reads. */
export function flagArguments (given: readonly Given[]): string[] {
  return given.flatMap(({ path, value }) => {
    if (value === true) return [flagOf(path)]
    const text = START_OPTIONS[path]?.text
    if (value === false && text?.parse('no') === false) return [`--no-${flagOf(path).slice(2)}`]
    return [flagOf(path), text?.format(value) ?? String(value)]
  })
}
