import { arrayOf, type Rule } from '@fastkeep/options'

const strings = arrayOf({ expected: 'a string', accepts: value => typeof value === 'string' })

/** `null`, or an array of strings, which may be empty. */
export const STRING_LIST: Rule = {
  ...strings,
  expected: 'null or an array of strings',
  accepts: value => value === null || (Array.isArray(value) && value.length === 0) || strings.accepts(value),
}
