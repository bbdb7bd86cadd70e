import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  ConfigFileAmbiguous, ConfigFileFailed, ConfigFileKindUnknown, ConfigFileNoOptions, ConfigFileNotJSON,
  ConfigFileTypeScript, ConfigFileUnreadable, REFUSALS,
} from './config-errors.js'
import { flatten, parse, refusal, shown, suggestion, type Given } from './given.js'
import { jsonErrorOffset } from './json-error-offset.js'
import { isGroup, isObject, optionAt, OPTIONS, type ConfigTable } from './options.js'
import { octal } from './text-form.js'

const KINDS = ['.js', '.mjs', '.ts', '.json']

/** What Node says of TypeScript that it does not run. */
const TYPESCRIPT_REFUSALS = new Set(['ERR_UNKNOWN_FILE_EXTENSION', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX', 'ERR_NO_TYPESCRIPT', 'ERR_INVALID_TYPESCRIPT_SYNTAX'])

/**
 * The one file `fastkeep.config.js`, `.mjs`, `.ts` or `.json` of a directory; `undefined` if it has none.
 *
 * @throws `FST_KEEP_ENGINE_CONFIG_FILE_AMBIGUOUS` for more than one, `FST_KEEP_ENGINE_CONFIG_FILE_UNREADABLE`
 * @returns its absolute path
 */
export function findConfigFile (directory: string): string | undefined {
  const names = KINDS.map(kind => `fastkeep.config${kind}`)
  const found = readOr(directory, () => readdirSync(directory)).filter(name => names.includes(name)).sort()
  if (found.length > 1) throw new ConfigFileAmbiguous(resolve(directory), found.join(', '))
  return found[0] === undefined ? undefined : resolve(join(directory, found[0]))
}

/**
 * Reads the options of a configuration file: JSON, or a module whose default export is an object of options or a
 * function that returns one or a promise of one. Paths in it count from the working directory, as in code. Permission
 * bits are numbers in a module (`0o027`) and octal digits in a string in JSON (`"027"`).
 *
 * A file that has changed is read anew each time; what it imports is not.
 *
 * @throws with the prefix `FST_KEEP_ENGINE_CONFIG_FILE_`, exit code 78: `UNREADABLE`, `KIND_UNKNOWN`, `NOT_JSON` (with
 *   line and column), `FAILED` (the module threw), `TYPESCRIPT` (this Node does not run it), `NO_OPTIONS`, `UNKNOWN`,
 *   `INVALID`
 * @example await readConfigFile('fastkeep.config.json') // [{ path: 'port', value: 80, origin: '/srv/shop/fastkeep.config.json' }]
 */
export async function readConfigFile (file: string, table: ConfigTable = OPTIONS): Promise<Given[]> {
  const path = resolve(file)
  const kind = extname(path)
  if (!KINDS.includes(kind)) throw new ConfigFileKindUnknown(path, KINDS.join(', '))
  const isJSON = kind === '.json'
  const options = isJSON ? parseJSON(path, readOr(path, () => readFileSync(path, 'utf8'))) : await importDefault(path)
  if (!isObject(options)) throw new ConfigFileNoOptions(path, isJSON ? 'contain an object of options' : 'export an object of options, or a function that returns one, by default', shown(options))
  return checked(options, path, isJSON, table)
}

function checked (options: object, origin: string, isJSON: boolean, table: ConfigTable): Given[] {
  const { Unknown, Invalid } = REFUSALS.file
  return flatten(options, table).map(({ keys, value }) => {
    const path = keys.join('.')
    const subject = `${origin}: option "${path}"`
    const option = optionAt(table, path)
    if (option === undefined && isGroup(table, path)) throw new Invalid(`${subject} must be an object, got ${shown(value)}`)
    if (option === undefined) throw new Unknown(`${origin}: unknown option "${path}"${suggestion(path, Object.keys(table))}`)
    if (keys.some(key => key.includes('.'))) throw new Unknown(`${origin}: unknown option "${path}", write it as an object in an object`)
    if (option.notInFile === true) throw new Invalid(`${subject} cannot be set in the file itself`)
    if (isJSON && option.text === octal && typeof value === 'string') return { path, value: parse(value, option, subject, Invalid), origin }
    if (isJSON && option.text === octal) throw new Invalid(refusal(subject, `a string of ${octal.expected}`, value, option.rule))
    if (!option.rule.accepts(value)) throw new Invalid(refusal(subject, option.rule.expected, value, option.rule))
    return { path, value, origin }
  })
}

function parseJSON (path: string, text: string): unknown {
  // RFC 8259, 8.1: a byte order mark may be ignored; JSON.parse does not.
  const json = text.replace(/^\uFEFF/, '')
  try {
    return JSON.parse(json)
  } catch {
    const offset = jsonErrorOffset(json)
    throw new ConfigFileNotJSON(path, offset === undefined ? '' : positionOf(json, offset), whatStandsAt(json, offset))
  }
}

function positionOf (text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n')
  return `, line ${lines.length}, column ${(lines.at(-1) as string).length + 1}`
}

/** One character, not more: what stands there may be a secret. */
function whatStandsAt (json: string, offset = 0): string {
  return offset >= json.length ? 'it ends too early' : `unexpected ${JSON.stringify(json.charAt(offset))}`
}

async function importDefault (path: string): Promise<unknown> {
  const { mtimeMs } = readOr(path, () => statSync(path))
  try {
    const module = await import(`${pathToFileURL(path).href}?mtime=${mtimeMs}`) as { default?: unknown }
    return await (typeof module.default === 'function' ? module.default() : module.default)
  } catch (cause) {
    if (path.endsWith('.ts') && TYPESCRIPT_REFUSALS.has((cause as NodeJS.ErrnoException | null)?.code ?? '')) {
      throw new ConfigFileTypeScript(process.version, path, (cause as Error).message, { cause })
    }
    throw new ConfigFileFailed(path, explain(cause, path), { cause })
  }
}

function explain (cause: unknown, path: string): string {
  if (!(cause instanceof Error)) return String(cause)
  // Node keeps the place of a syntax error to itself.
  if (cause.name === 'SyntaxError') return `${cause.message}; "node --check ${path}" shows where`
  const place = /file:[^\s)?]+(?:\?mtime=[\d.]+)?(:\d+):\d+/.exec(cause.stack ?? '')
  return place === null ? cause.message : `${cause.message} (${place[0].replace(/\?mtime=[\d.]+/, '')})`
}

function readOr<Result> (path: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    throw new ConfigFileUnreadable(resolve(path), (cause as Error).message, { cause })
  }
}
