import { createRequire } from 'node:module'
import { ExitCode, parseFlags } from '@fastkeep/engine'
import { nearest } from '@fastkeep/options'
import type { Command, Invocation } from './command.js'
import { ALIASES } from './command-options.js'
import { COMMANDS } from './commands/table.js'
import { UsageError } from './errors.js'
import { helpOf, overview, usageOf } from './help.js'
import type { Terminal } from './terminal.js'

/**
 * Runs a command line.
 *
 * @param argv without the path of Node and of the program
 * @returns the exit code; a failure is told on the terminal
 */
export async function main (argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await run(argv, terminal)
  } catch (error) {
    terminal.tell(`fastkeep: ${error instanceof Error ? error.message : String(error)}`)
    const { exitCode } = error as { exitCode?: unknown }
    if (typeof exitCode === 'number') return exitCode
    // Not made for operators: the programmer needs the place.
    if (error instanceof Error && error.stack !== undefined) terminal.tell(error.stack)
    return ExitCode.SOFTWARE
  }
}

async function run ([name, ...rest]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === undefined) {
    terminal.tell(overview(COMMANDS))
    return ExitCode.USAGE
  }
  if (name === '--help' || name === '-h' || name === 'help') return show(terminal, rest[0] === undefined ? overview(COMMANDS) : helpOf(commandOf(rest[0])))
  if (name === '--version' || name === '-v') return show(terminal, version())
  const command = commandOf(name)
  if (isHelpWanted(rest)) return show(terminal, helpOf(command))
  return await command.run({ ...read(command, rest), terminal })
}

function version (): string {
  return (createRequire(import.meta.url)('../package.json') as { version: string }).version
}

function show (terminal: Terminal, text: string): number {
  terminal.print(text)
  return ExitCode.OK
}

function commandOf (name: string): Command {
  const command = COMMANDS.find(one => one.name === name)
  if (command !== undefined) return command
  const names = COMMANDS.map(one => one.name)
  const meant = nearest(name, [...names, '--help', '--version'])
  throw new UsageError(`there is no command ${JSON.stringify(name)}${meant === undefined ? `; there are ${names.join(', ')}` : `, did you mean "${meant}"?`}`)
}

function isHelpWanted (args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some(arg => arg === '--help' || arg === '-h')
}

/** @throws `FST_KEEP_FASTKEEP_USAGE` for operands that are missing or too many; what `parseFlags` does; exit code 64 */
function read (command: Command, args: readonly string[]): Pick<Invocation, 'flags' | 'operands'> {
  const { given, operands } = parseFlags(withoutAliases(args), command.flags)
  const wanted = command.operands ?? []
  const missing = wanted.slice(operands.length).find(({ isOptional }) => isOptional !== true)
  if (missing !== undefined) throw new UsageError(`${command.name}: <${missing.name}> is missing; usage: fastkeep ${usageOf(command)}`)
  if (operands.length > wanted.length && wanted.at(-1)?.isRepeated !== true) throw new UsageError(`${command.name}: ${JSON.stringify(operands[wanted.length])} is too much; usage: fastkeep ${usageOf(command)}`)
  return { flags: given, operands }
}

function withoutAliases (args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((arg, index) => {
    const [name = '', ...value] = arg.split('=')
    const meant = end !== -1 && index > end ? undefined : ALIASES[name]
    return meant === undefined ? arg : [meant, ...value].join('=')
  })
}
