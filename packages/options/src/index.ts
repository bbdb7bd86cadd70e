export { optionChecker, type CheckOptions, type OptionErrors, type OptionRules } from './check-options.js'
export { nearest } from './nearest.js'
export { arrayOf, boolean, func, integer, nested, oneOf, secret, string, type Rule } from './rules.js'
