import { arrayOf, type Rule } from '@fastkeep/options'

/** An array of what `accepts` takes, which may be empty. */
export function listRule (entry: string, accepts: (value: unknown) => boolean): Rule {
  const list = arrayOf({ expected: entry, accepts })
  return {
    ...list,
    expected: `an array of ${entry.replace(/^an? /, '').replace(/ or an? /, 's or ')}s`,
    accepts: value => (Array.isArray(value) && value.length === 0) || list.accepts(value),
  }
}

const STRINGS = listRule('a string', value => typeof value === 'string')

/** `null`, or an array of strings, which may be empty. */
export const STRING_LIST: Rule = {
  ...STRINGS,
  expected: `null or ${STRINGS.expected}`,
  accepts: value => value === null || STRINGS.accepts(value),
}
