import { flagOf } from '@fastkeep/engine'
import type { Command } from './command.js'
import { FLAG_TEXTS, START_OPTIONS } from './command-options.js'
import { FLAG_GROUPS } from './flag-groups.js'

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
  const isLikeStart = Object.keys(START_OPTIONS).every(path => path in command.flags)
  const flags = flagsOf(command)
  const shown = isLikeStart && command.name !== 'start' ? flags.filter(({ path }) => !(path in START_OPTIONS)) : flags
  return [
    `fastkeep ${usageOf(command)}${flags.length > 0 ? ' [flags]' : ''}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...command.details === undefined ? [] : [command.details],
    ...command.name === 'start' ? grouped(shown) : shown.length === 0 ? [] : ['', ...shown.map(lineOf)],
    ...isLikeStart && command.name !== 'start' ? ['', 'It takes all flags of "fastkeep start" as well.'] : [],
    ...shown.some(({ isBoolean }) => isBoolean) ? ['', 'A flag that takes no value is turned off by --no-...'] : [],
  ].join('\n')
}

/** Those that no group has come first. */
function grouped (flags: readonly FlagHelp[]): string[] {
  const inGroups = new Set(FLAG_GROUPS.flatMap(([, paths]) => paths))
  const others = flags.filter(({ path }) => !inGroups.has(path))
  return [
    ...others.length === 0 ? [] : ['', ...others.map(lineOf)],
    ...FLAG_GROUPS.flatMap(([heading, paths]) => [
      '', `${heading}:`,
      ...paths.flatMap(path => flags.filter(flag => flag.path === path)).map(lineOf),
      ...paths.includes('signals') ? [`  ${'--signals-sighup <action>'.padEnd(WIDTH)}what a signal does: exit, quit, graceful, reload, restart, hangup, ignore`] : [],
    ]),
  ]
}

function lineOf ({ path, isBoolean, default: value }: FlagHelp): string {
  const name = isBoolean ? flagOf(path) : `${flagOf(path)} <value>`
  const text = `${FLAG_TEXTS[path] ?? ''}${value === undefined ? '' : ` (${isBoolean ? value === 'true' ? 'on' : 'off' : String(value)})`}`
  return name.length < WIDTH ? `  ${name.padEnd(WIDTH)}${text}` : `  ${name}\n${' '.repeat(WIDTH + 2)}${text}`
}

export function usageOf ({ name, operands = [] }: Command): string {
  return [name, ...operands.map(({ name, isOptional, isRepeated }) => `${isOptional === true ? `[${name}]` : `<${name}>`}${isRepeated === true ? '...' : ''}`)].join(' ')
}
