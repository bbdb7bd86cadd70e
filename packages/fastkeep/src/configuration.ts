import { spawnSync } from 'node:child_process'
import {
  findConfigFile, readConfigFile, readEnvironment, resolveAccount, resolveConfig, type Given, type ResolvedConfig,
} from '@fastkeep/engine'
import { START_OPTIONS, type CommandOptions } from './command-options.js'
import { READ_CONFIG } from './entries.js'
import { ConfigNeedsUser, ConfigNotPlain } from './errors.js'
import { assertTrusted } from './trusted-paths.js'

export interface Configuration extends ResolvedConfig<CommandOptions> {
  /** The file that was read. */
  readonly file: string | undefined
}

/** ms for a configuration that is code to be evaluated. */
const PATIENCE = 30_000

/**
 * Flags over environment over the configuration file: the one that is named, else the one of the working directory.
 *
 * As root a file that others can write to is refused, and one that is code is evaluated as the target user, in a process
 * of its own.
 *
 * @throws what the engine says of each source; `FST_KEEP_FASTKEEP_PATH_NOT_TRUSTED`, `..._CONFIG_NEEDS_USER`,
 * `..._CONFIG_NOT_PLAIN`, exit code 78
 */
export async function readConfiguration (flags: readonly Given[]): Promise<Configuration> {
  const environment = readEnvironment(process.env, START_OPTIONS)
  const named = [...flags, ...environment].find(({ path }) => path === 'config')?.value as string | undefined
  const file = named ?? findConfigFile(process.cwd())
  const given = file === undefined ? [] : await readFile(file, [...flags, ...environment])
  const resolved = resolveConfig<CommandOptions>({ code: {}, flags, environment, file: given }, START_OPTIONS)
  return { ...resolved, file }
}

async function readFile (file: string, outside: readonly Given[]): Promise<Given[]> {
  if (process.geteuid?.() !== 0) return await readConfigFile(file, START_OPTIONS)
  assertTrusted(file)
  if (file.endsWith('.json')) return await readConfigFile(file, START_OPTIONS)
  const user = valueOf(outside, 'user')
  if (user === undefined) throw new ConfigNeedsUser(file)
  return readAsUser(file, user, valueOf(outside, 'group'))
}

function readAsUser (file: string, user: string | number, group: string | number | undefined): Given[] {
  const { uid, gid } = resolveAccount(user, group)
  // The system drops the supplementary groups of root with its user.
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [...process.execArgv, READ_CONFIG, file], {
    uid, gid, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE, killSignal: 'SIGKILL',
  })
  const last = stdout?.trimEnd().split('\n').at(-1) ?? ''
  if (status !== 0 || error !== undefined) throw new ConfigNotPlain(file, user, error?.message ?? (stderr.trim() || 'it ended without a word'))
  return JSON.parse(last) as Given[]
}

function valueOf (given: readonly Given[], path: string): string | number | undefined {
  return given.find(one => one.path === path)?.value as string | number | undefined
}
