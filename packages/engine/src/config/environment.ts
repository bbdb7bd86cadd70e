import { REFUSALS } from './config-errors.js'
import { parse, suggestion, type Given } from './given.js'
import { OPTIONS, wordsOf, type ConfigTable } from './options.js'

const PREFIX = 'FASTKEEP_'

/** Variables with the prefix that are none of the options, by who reads them. */
export const FOREIGN_VARIABLES: Readonly<Record<string, string>> = {
  FASTKEEP_SESSION_KEYS: '@fastkeep/secure-session',
  FASTKEEP_DAEMON_NOTE: '@fastkeep/engine, from the launcher of a daemon',
  FASTKEEP_DAEMON_PID: '@fastkeep/engine, from the launcher of a daemon',
  FASTKEEP_HANDOVER: '@fastkeep/engine, from the predecessor in a restart',
}

/** The environment variable of an option: `FASTKEEP_DRAIN_IDLE_WINDOW` for `drain.idleWindow`. */
export function variableOf (path: string): string {
  return PREFIX + wordsOf(path).join('_').toUpperCase()
}

/**
 * Reads the options that the environment gives. Numbers are decimal digits, permission bits octal ones; booleans are
 * 1, true, yes, on, 0, false, no or off in any case; lists are separated by commas. A variable that is set to nothing is
 * malformed, too.
 *
 * @throws `FST_KEEP_ENGINE_CONFIG_VARIABLE_UNKNOWN` for a variable with the prefix that nobody reads,
 *   `FST_KEEP_ENGINE_CONFIG_VARIABLE_INVALID`; exit code 78
 * @example readEnvironment({ FASTKEEP_PORT: '80' }) // [{ path: 'port', value: 80, origin: 'FASTKEEP_PORT' }]
 */
export function readEnvironment (environment: NodeJS.ProcessEnv, table: ConfigTable = OPTIONS): Given[] {
  const { Unknown, Invalid } = REFUSALS.environment
  const names = Object.keys(environment).filter(name => name.startsWith(PREFIX) && !Object.hasOwn(FOREIGN_VARIABLES, name))
  // The common case; the names of all options are not needed then.
  if (names.length === 0) return []
  const paths = new Map(Object.keys(table).filter(path => table[path]?.text !== undefined).map(path => [variableOf(path), path]))
  const given: Given[] = []
  for (const name of names) {
    const text = environment[name]
    if (text === undefined) continue
    const path = paths.get(name)
    const option = path === undefined ? undefined : table[path]
    if (path === undefined || option === undefined) {
      const hint = suggestion(name, [...paths.keys(), ...Object.keys(FOREIGN_VARIABLES)]) || '; unset it'
      throw new Unknown(`environment: there is no option for the variable ${name}${hint}`)
    }
    given.push({ path, value: parse(text, option, name, Invalid), origin: name })
  }
  return given
}
