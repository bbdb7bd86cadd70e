import { readEnvironment } from './environment.js'
import { findConfigFile, readConfigFile } from './file.js'
import type { Given } from './given.js'
import { OPTIONS, type ConfigOptions, type ConfigTable } from './options.js'
import { resolveConfig, type ResolvedConfig } from './resolve.js'

/** What only code can say about the configuration. */
export interface ConfigControl {
  /** The configuration file. Default: `FASTKEEP_CONFIG`, or what is found where the caller looks. */
  config?: string
  /** `false` ignores the environment altogether. Default true. */
  environment?: boolean
  /** Refuse what flags, environment or file say about an option that is given in code. Default false. */
  lock?: boolean
}

export interface OutsideConfig {
  /** The flags of a command. Default: none. */
  readonly flags?: readonly Given[]
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv
  /** Where a file is looked for if none is named. Default: nowhere. */
  readonly directory?: string
}

/**
 * Reads and merges all that configures an engine: see {@link resolveConfig} for what beats what.
 *
 * @throws all that {@link readEnvironment}, {@link findConfigFile}, {@link readConfigFile} and {@link resolveConfig} do
 * @example
 * const { options, effective } = await loadConfig({ drain: { deadline: 10_000 } }, { directory: process.cwd() })
 */
export async function loadConfig<Options extends ConfigOptions> (
  code: Options & ConfigControl, { flags = [], environment: variables = process.env, directory }: OutsideConfig = {}, table: ConfigTable = OPTIONS
): Promise<ResolvedConfig<Options>> {
  const { environment: isEnvironmentRead = true, lock = false, ...given } = code
  const environment = isEnvironmentRead ? readEnvironment(variables, table) : []
  const named = given.config ?? [...flags, ...environment].find(({ path }) => path === 'config')?.value as string | undefined
  const path = named ?? (directory === undefined ? undefined : findConfigFile(directory))
  const file = path === undefined ? [] : await readConfigFile(path, table)
  return resolveConfig({ code: given as ConfigOptions as Options, flags, environment, file, lock }, table)
}
