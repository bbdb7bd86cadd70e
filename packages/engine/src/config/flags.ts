import { REFUSALS } from './config-errors.js'
import { parse, suggestion, type Given } from './given.js'
import { OPTIONS, wordsOf, type ConfigOption, type ConfigTable } from './options.js'
import { truth } from './text-form.js'

export interface Flags {
  readonly given: readonly Given[]
  /** What is no flag and no flag's value, and all that comes after `--`. */
  readonly operands: readonly string[]
}

interface Flag {
  readonly path: string
  readonly option: ConfigOption
}

const { Unknown, Invalid } = REFUSALS.flags

/** The flag of an option: `--drain-idle-window` for `drain.idleWindow`. */
export function flagOf (path: string): string {
  return `--${wordsOf(path).join('-')}`
}

/**
 * Reads the options that the arguments of a command give: `--port 80`, `--port=80`, `--daemon`, `--no-daemon`. Values
 * are written as in the environment. A secret has no flag, for all users of the machine can read the arguments.
 *
 * @param argv without the path of Node and of the program
 * @throws `FST_KEEP_ENGINE_CONFIG_FLAG_UNKNOWN`, `FST_KEEP_ENGINE_CONFIG_FLAG_INVALID`; exit code 64
 * @example parseFlags(['--port', '80', 'app.js']) // { given: [{ path: 'port', value: 80, origin: '--port' }], operands: ['app.js'] }
 */
export function parseFlags (argv: readonly string[], table: ConfigTable = OPTIONS): Flags {
  const flags = flagsOf(table)
  const { parseArgs } = process.getBuiltinModule('node:util')
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries([...flags].map(([name, { option }]) => [name.slice(2), { type: isBoolean(option) ? 'boolean' : 'string' }])),
    strict: false,
    tokens: true,
  })
  const given: Given[] = []
  const operands: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const found = read(token, flags, table)
    const earlier = given.find(({ path }) => path === found.path)
    if (earlier !== undefined) throw new Invalid(`${found.origin} was given after ${earlier.origin} had been: give one of them, once`)
    given.push(found)
  }
  return { given, operands }
}

interface OptionToken {
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function read ({ rawName, value, inlineValue }: OptionToken, flags: ReadonlyMap<string, Flag>, table: ConfigTable): Given {
  const flag = flags.get(rawName)
  if (flag === undefined) return negated(rawName, value, flags, table)
  const { path, option } = flag
  if (isBoolean(option) && value === undefined) return { path, value: true, origin: rawName }
  if (value === undefined) throw new Invalid(`${rawName} must be followed by its value`)
  if (inlineValue !== true && value.startsWith('--')) {
    throw new Invalid(`${rawName} must be followed by its value, got ${value}; if that is the value, write ${rawName}=${value}`)
  }
  return { path, value: parse(value, option, rawName, Invalid), origin: rawName }
}

function negated (rawName: string, value: string | undefined, flags: ReadonlyMap<string, Flag>, table: ConfigTable): Given {
  const flag = rawName.startsWith('--no-') ? flags.get(`--${rawName.slice('--no-'.length)}`) : undefined
  if (flag === undefined) throw new Unknown(`there is no flag ${rawName}${hint(rawName, flags, table)}`)
  if (!isBoolean(flag.option)) throw new Invalid(`${rawName}: only a flag that is on or off can be negated, and ${flagOf(flag.path)} takes a value`)
  if (value !== undefined) throw new Invalid(`${rawName} takes no value`)
  return { path: flag.path, value: false, origin: rawName }
}

function hint (rawName: string, flags: ReadonlyMap<string, Flag>, table: ConfigTable): string {
  const isSecret = Object.keys(table).some(path => table[path]?.rule.isSecret === true && flagOf(path) === rawName)
  if (isSecret) return ': it is a secret, and all users of the machine can read the arguments; set it in the environment or in a file'
  const negations = [...flags].filter(([, { option }]) => isBoolean(option)).map(([name]) => `--no-${name.slice(2)}`)
  return suggestion(rawName, [...flags.keys(), ...negations])
}

function flagsOf (table: ConfigTable): Map<string, Flag> {
  const entries = Object.entries(table).filter(([, { rule, text }]) => text !== undefined && rule.isSecret !== true)
  return new Map(entries.map(([path, option]) => [flagOf(path), { path, option }]))
}

function isBoolean (option: ConfigOption): boolean {
  return option.text === truth
}
