import { engineError, type EngineErrorConstructor } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** What can be wrong with an option that was given outside the program. */
export interface Refusals {
  /** No option has that name. */
  readonly Unknown: EngineErrorConstructor
  /** The option does not take that value. */
  readonly Invalid: EngineErrorConstructor
  /** The program has set the option and locked it. */
  readonly Locked: EngineErrorConstructor
}

/** `FST_KEEP_ENGINE_CONFIG_FLAG_UNKNOWN`, `..._CONFIG_VARIABLE_INVALID`, `..._CONFIG_FILE_LOCKED` and so on, by source. */
export const REFUSALS = {
  flags: refusals('FLAG', ExitCode.USAGE),
  environment: refusals('VARIABLE', ExitCode.CONFIG),
  file: refusals('FILE', ExitCode.CONFIG),
}

/** Two options that exclude each other were given, perhaps in two places. */
export const ConfigContradiction = engineError('CONFIG_CONTRADICTION',
  'the options "%s" (%s) and "%s" (%s) contradict each other: remove one of them', ExitCode.CONFIG)

/** The configuration file or its directory cannot be read. */
export const ConfigFileUnreadable = engineError('CONFIG_FILE_UNREADABLE', 'cannot read the configuration %s: %s', ExitCode.CONFIG)

/** A directory has more than one configuration file. */
export const ConfigFileAmbiguous = engineError('CONFIG_FILE_AMBIGUOUS',
  'there is more than one configuration file in %s: %s; keep one, or name the one that counts', ExitCode.CONFIG)

/** The file's name does not say how to read it. */
export const ConfigFileKindUnknown = engineError('CONFIG_FILE_KIND_UNKNOWN',
  'cannot tell what the configuration file %s contains: its name must end in %s', ExitCode.CONFIG)

/** The file is not JSON. */
export const ConfigFileNotJSON = engineError('CONFIG_FILE_NOT_JSON', '%s%s: not JSON: %s', ExitCode.CONFIG)

/** The module, or the function that it exports, failed. */
export const ConfigFileFailed = engineError('CONFIG_FILE_FAILED', 'the configuration file %s failed: %s', ExitCode.CONFIG)

/** This Node does not run the TypeScript of the file. */
export const ConfigFileTypeScript = engineError('CONFIG_FILE_TYPESCRIPT',
  'Node %s cannot run the configuration file %s: %s; install tsx and start node with --import tsx, or write the file in JavaScript', ExitCode.CONFIG)

/** The file contains something else than options. */
export const ConfigFileNoOptions = engineError('CONFIG_FILE_NO_OPTIONS', '%s must %s, got %s', ExitCode.CONFIG)

function refusals (what: string, exitCode: number): Refusals {
  return {
    Unknown: engineError(`CONFIG_${what}_UNKNOWN`, '%s', exitCode),
    Invalid: engineError(`CONFIG_${what}_INVALID`, '%s', exitCode),
    Locked: engineError(`CONFIG_${what}_LOCKED`, '%s sets the option "%s", which the program has set and locked: remove it there', exitCode),
  }
}
