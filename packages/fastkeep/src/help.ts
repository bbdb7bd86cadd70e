import { flagOf } from '@fastkeep/engine'
import type { Command } from './command.js'
import { FLAG_TEXTS } from './command-options.js'

export interface FlagHelp {
  readonly path: string
  /** Takes no value, and can be negated. */
  readonly isBoolean: boolean
  readonly default: unknown
}

const WIDTH = 30

/** The flags of a command that its help and its completion show: all but those of single signals. */
export function flagsOf (command: Command): FlagHelp[] {
  return Object.entries(command.flags)
    .filter(([path, { text, rule }]) => text !== undefined && rule.isSecret !== true && !path.startsWith('signals.'))
    .map(([path, { text, default: value }]) => ({
      path,
      isBoolean: text?.parse('true') === true,
      default: value === undefined ? undefined : text?.format(value),
    }))
}

/** What `fastkeep --help` prints. */
export function overview (commands: readonly Command[]): string {
  const lines = commands.map(command => `  ${usageOf(command).padEnd(WIDTH)}${command.summary}`)
  return ['fastkeep: starts Fastify services, keeps them up, and loses no request', '', ...lines, '',
    '"fastkeep <command> --help" shows its flags, "fastkeep --version" the version.'].join('\n')
}

/** What `fastkeep <command> --help` prints. */
export function helpOf (command: Command): string {
  const flags = flagsOf(command).map(({ path, isBoolean, default: value }) => {
    const name = isBoolean ? flagOf(path) : `${flagOf(path)} <value>`
    const text = `${FLAG_TEXTS[path] ?? ''}${value === undefined || isBoolean ? '' : ` (${String(value)})`}`
    return name.length < WIDTH ? `  ${name.padEnd(WIDTH)}${text}` : `  ${name}\n${' '.repeat(WIDTH + 2)}${text}`
  })
  const isStart = 'signals.SIGHUP' in command.flags
  return [
    `fastkeep ${usageOf(command)}${flags.length > 0 ? ' [flags]' : ''}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...command.details === undefined ? [] : [command.details],
    ...flags.length === 0 ? [] : ['', ...flags],
    ...isStart ? [`  ${'--signals-sighup <action>'.padEnd(WIDTH)}what a signal does: exit, quit, graceful, reload, restart, hangup, ignore`] : [],
    ...flagsOf(command).some(({ isBoolean }) => isBoolean) ? ['', 'A flag that takes no value is turned off by --no-...'] : [],
  ].join('\n')
}

export function usageOf ({ name, operands = [] }: Command): string {
  return [name, ...operands.map(({ name, isOptional, isRepeated }) => `${isOptional === true ? `[${name}]` : `<${name}>`}${isRepeated === true ? '...' : ''}`)].join(' ')
}
