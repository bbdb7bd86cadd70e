import { ConfigContradiction, REFUSALS } from './config-errors.js'
import { flatten, type Given } from './given.js'
import { isObject, optionAt, OPTIONS, type ConfigOptions, type ConfigTable } from './options.js'

/** Where an option that is in force comes from, the strongest first. */
export type ConfigSource = 'code' | 'flags' | 'environment' | 'file' | 'default'

/** One option that is in force. */
export interface EffectiveOption extends Given {
  readonly source: ConfigSource
  readonly isSecret: boolean
}

export interface ConfigSources<Options extends ConfigOptions> {
  /** What the program gives. What the table does not know is passed through. */
  readonly code: Options
  readonly flags?: readonly Given[]
  readonly environment?: readonly Given[]
  readonly file?: readonly Given[]
  /** Refuse, instead of passing over, what flags, environment or file say about an option that `code` gives. Default false. */
  readonly lock?: boolean
}

export interface ResolvedConfig<Options extends ConfigOptions = ConfigOptions> {
  /** What was given, by anybody; no defaults, which are the business of those who take the options. */
  readonly options: Options
  /** All that is in force, defaults included, in the order of the table. */
  readonly effective: readonly EffectiveOption[]
}

type Layer = readonly [source: ConfigSource, given: ReadonlyMap<string, Given>]

/**
 * Merges the options of all sources, each option by itself: code beats flags, flags beat the environment, the
 * environment beats the file, the file beats the defaults. A group that is `false` takes the options in it along.
 *
 * @throws `FST_KEEP_ENGINE_CONFIG_FLAG_LOCKED` (exit code 64), `FST_KEEP_ENGINE_CONFIG_VARIABLE_LOCKED`,
 *   `FST_KEEP_ENGINE_CONFIG_FILE_LOCKED`, `FST_KEEP_ENGINE_CONFIG_CONTRADICTION` (78)
 * @example resolveConfig({ code: {}, environment: readEnvironment(process.env) }).options.port
 */
export function resolveConfig<Options extends ConfigOptions> (sources: ConfigSources<Options>, table: ConfigTable = OPTIONS): ResolvedConfig<Options> {
  const { code, flags = [], environment = [], file = [], lock = false } = sources
  const fromCode = flatten(code, table)
    .map(({ keys, value }): Given => ({ path: keys.join('.'), value, origin: 'code' }))
    .filter(({ path }) => optionAt(table, path) !== undefined)
  const inCode = byPath(fromCode)
  const layers: Layer[] = [['code', inCode], ['flags', byPath(flags)], ['environment', byPath(environment)], ['file', byPath(file)]]
  if (lock) assertLocked(inCode, { flags, environment, file })

  const given = new Map<string, EffectiveOption>()
  for (const path of Object.keys(table)) {
    const found = strongest(path, layers, table)
    if (found !== undefined) given.set(path, found)
  }
  assertConsistent(given, table)
  const effective = Object.keys(table)
    .map(path => given.get(path) ?? defaultOf(path, given, table))
    .filter((option, _index, all): option is EffectiveOption => option !== undefined && !isSwitchedOff(option.path, all))
  return { options: nested(code, effective), effective }
}

function byPath (given: readonly Given[]): Map<string, Given> {
  return new Map(given.map(one => [one.path, one]))
}

function strongest (path: string, layers: readonly Layer[], table: ConfigTable): EffectiveOption | undefined {
  for (const [source, given] of layers) {
    const found = given.get(path)
    if (found !== undefined) return { ...found, source, isSecret: isSecret(path, table) }
  }
  return undefined
}

function defaultOf (path: string, given: ReadonlyMap<string, Given>, table: ConfigTable): EffectiveOption | undefined {
  const { default: value, notWith = '', onlyWith } = table[path] ?? {}
  const isMeant = !given.has(notWith) && (onlyWith === undefined || given.has(onlyWith))
  if (value === undefined || !isMeant) return undefined
  return { path, value, origin: 'default', source: 'default', isSecret: isSecret(path, table) }
}

function isSecret (path: string, table: ConfigTable): boolean {
  return table[path]?.rule.isSecret === true
}

function groupOf (path: string): string | undefined {
  return path.includes('.') ? path.slice(0, path.indexOf('.')) : undefined
}

function isSwitchedOff (path: string, all: ReadonlyArray<Given | undefined>): boolean {
  const group = groupOf(path)
  return group !== undefined && all.some(option => option?.path === group && option.value === false)
}

function assertLocked (code: ReadonlyMap<string, Given>, outside: Readonly<Record<keyof typeof REFUSALS, readonly Given[]>>): void {
  for (const source of Object.keys(outside) as Array<keyof typeof REFUSALS>) {
    for (const { path, origin } of outside[source]) {
      const isLocked = code.has(path) || isSwitchedOff(path, [...code.values()])
      if (isLocked) throw new REFUSALS[source].Locked(origin, path)
    }
  }
}

function assertConsistent (given: ReadonlyMap<string, Given>, table: ConfigTable): void {
  for (const { path, origin } of given.values()) {
    const other = given.get(table[path]?.notWith ?? '')
    if (other !== undefined) throw new ConfigContradiction(path, origin, other.path, other.origin)
  }
}

/** The given options as a program would write them, over what it has written. */
function nested<Options extends ConfigOptions> (code: Options, effective: readonly EffectiveOption[]): Options {
  const options = { ...code } as Record<string, unknown>
  for (const { path, value, source } of effective) {
    if (source === 'default') continue
    const group = groupOf(path)
    const present = options[group ?? path]
    if (group !== undefined) options[group] = { ...isObject(present) ? present : {}, [path.slice(group.length + 1)]: value }
    // The program's own object says `true` already.
    else if (!(value === true && isObject(present))) options[path] = value
  }
  return options as Options
}
