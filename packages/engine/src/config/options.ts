import { constants } from 'node:os'
import { arrayOf, func, integer, oneOf, string, type Rule } from '@fastkeep/options'
import { DEFAULT_RESTART_TIMEOUT } from '../engine.js'
import { AUTORELOAD_RULES, type AutoreloaderOptions } from '../plugins/autoreloader.js'
import { CRASH_RULES, DEFAULT_CRASH_DEADLINE, type CrashPolicyOptions } from '../plugins/crash-policy.js'
import type { DaemonOptions } from '../plugins/daemonizer.js'
import { DEFAULT_SIGNALS, WINDOWS_SIGNALS, type SignalAction, type SignalMap } from '../plugins/signal-handler.js'
import { ADDRESS_RULES } from '../server/listen-options.js'
import { DEFAULT_DRAIN, type ServerDrainOptions } from '../server/server-drain.js'
import { choice, list, noneOr, octal, plain, truth, wholeNumber, type TextForm } from './text-form.js'

/** What a configuration file may contain, e.g. `export default { port: 80 } satisfies ConfigOptions`. */
export interface ConfigOptions {
  /** TCP port; 0 lets the system choose one. Default 0. */
  port?: number
  /** An address, a name (all its addresses are bound), or several. Default `127.0.0.1`. */
  host?: string | readonly string[]
  /** A unix socket instead of host and port. */
  path?: string
  /** Permissions of the unix socket. Default 0o600; in JSON `"600"`. */
  mode?: number
  /** The `FileDescriptorName=` of the systemd socket to take. Default: all sockets that were passed. */
  socketName?: string
  pidFile?: string
  /** The unix socket for `status`, `stop` and so on; `false` for none. Default: beside the PID file, `<pidFile>.sock`. */
  controlSocket?: string | false
  /** The user to become, by name or number. Default: no change. */
  user?: string | number
  /** Its group, by name or number. Default: the user's own. */
  group?: string | number
  /** The file mode creation mask once privileges have been dropped. Default: as it is; in JSON `"027"`. */
  umask?: number
  /** Log files to give to that user before the change. Default: none. */
  logFiles?: readonly string[]
  /** Keys and directories that the user must be able to read later, checked before the change. Default: none. */
  mustRead?: readonly string[]
  /** What follows an uncaught error; `false` leaves it to Node. Default: drain, stop, exit with 70. */
  crash?: boolean | CrashPolicyOptions
  /** Whether a changed source file brings a successor; for development only. Default `false`. */
  autoreload?: boolean | AutoreloaderOptions
  /** Whether to run as a daemon, and how. Default `false`. */
  daemon?: boolean | DaemonOptions
  /** ms. */
  drain?: Partial<ServerDrainOptions>
  /** ms within which the successor of a restart in place must serve. Default 60,000. */
  restartTimeout?: number
  /** Which signals do what, beside the defaults; `false`: none are handled. */
  signals?: boolean | SignalMap
}

/** One option, wherever it is given. */
export interface ConfigOption {
  /** What it takes in code and in a file. `isSecret` keeps it out of errors, descriptions and flags. */
  readonly rule: Rule
  /** How it is written as text. Default: it can only be given in code and in a JavaScript or TypeScript file. */
  readonly text?: TextForm
  readonly default?: unknown
  /** Path of an option that excludes this one. */
  readonly notWith?: string
  /** Path of an option without which this one's default means nothing. */
  readonly onlyWith?: string
  /** It is about the file, so that the file cannot contain it. Default false. */
  readonly notInFile?: boolean
}

/**
 * Options by their path. Paths with a dot make a group, e.g. `drain.deadline`; where the group's own name is an option
 * too, that is a boolean, `false` leaves all of the group out, and an object in its place means `true`.
 */
export type ConfigTable = Readonly<Record<string, ConfigOption>>

const DAY = 86_400_000
const LONGEST_TIMER = 2 ** 31 - 1

const filePath = string('a path')
const permissions: ConfigOption = { rule: integer(0, 0o777, 'permission bits'), text: octal }
const switchedGroup: Rule = { expected: 'a boolean or an object', accepts: value => typeof value === 'boolean' }

const pathOrNone: Rule = { expected: 'a path, or false for none', accepts: value => value === false || filePath.accepts(value) }

const account: Rule = {
  expected: 'a name that is not empty or a number',
  accepts: value => typeof value === 'string' ? value !== '' : integer(0, 0xFFFF_FFFE, 'ids').accepts(value),
}

const ACTIONS = Object.keys({
  exit: true, quit: true, graceful: true, reload: true, restart: true, hangup: true, ignore: true,
} satisfies Record<SignalAction, true>)

const signalListener: Rule = {
  ...oneOf(ACTIONS),
  expected: `one of ${ACTIONS.join(', ')}, or a function`,
  accepts: value => typeof value === 'function' || ACTIONS.includes(value as string),
}

/** Every option of the engine. */
export const OPTIONS: ConfigTable = {
  config: { rule: filePath, text: plain, notInFile: true },
  port: { rule: ADDRESS_RULES.port, text: wholeNumber, default: 0, notWith: 'path' },
  host: { rule: ADDRESS_RULES.host, text: list('addresses or names'), default: '127.0.0.1', notWith: 'path' },
  path: { rule: ADDRESS_RULES.path, text: plain },
  mode: { ...permissions, default: 0o600, onlyWith: 'path' },
  socketName: { rule: ADDRESS_RULES.socketName, text: plain },
  pidFile: { rule: filePath, text: plain },
  controlSocket: { rule: pathOrNone, text: noneOr(plain) },
  user: { rule: account, text: plain },
  group: { rule: account, text: plain },
  umask: permissions,
  logFiles: { rule: arrayOf(filePath), text: list('paths') },
  mustRead: { rule: arrayOf(filePath), text: list('paths') },
  crash: { rule: switchedGroup, text: truth, default: true },
  'crash.deadline': { rule: CRASH_RULES.deadline, text: wholeNumber, default: DEFAULT_CRASH_DEADLINE },
  'crash.on': { rule: CRASH_RULES.on, text: choice(CRASH_RULES.on.candidates ?? []) },
  'crash.exit': { rule: CRASH_RULES.exit },
  autoreload: { rule: switchedGroup, text: truth, default: false },
  'autoreload.root': { rule: AUTORELOAD_RULES.root, text: plain },
  'autoreload.ignore': { rule: AUTORELOAD_RULES.ignore, text: list('paths') },
  'autoreload.files': { rule: AUTORELOAD_RULES.files, text: list('paths') },
  'autoreload.reload': { rule: AUTORELOAD_RULES.reload },
  daemon: { rule: switchedGroup, text: truth, default: false },
  'daemon.stdin': { rule: filePath, text: plain, default: '/dev/null' },
  'daemon.stdout': { rule: filePath, text: plain, default: '/dev/null' },
  'daemon.stderr': { rule: filePath, text: plain, default: '/dev/null' },
  'daemon.cwd': { rule: filePath, text: plain },
  'daemon.umask': { ...permissions, default: 0o027 },
  'daemon.timeout': { rule: integer(1, LONGEST_TIMER, 'ms'), text: wholeNumber, default: 60_000 },
  'daemon.onLaunched': { rule: func },
  'drain.delay': { rule: integer(0, DAY, 'ms'), text: wholeNumber, default: DEFAULT_DRAIN.delay },
  'drain.idleWindow': { rule: integer(0, DAY, 'ms'), text: wholeNumber, default: DEFAULT_DRAIN.idleWindow },
  'drain.restartIdleWindow': { rule: integer(0, DAY, 'ms'), text: wholeNumber },
  'drain.deadline': { rule: integer(1, DAY, 'ms'), text: wholeNumber, default: DEFAULT_DRAIN.deadline },
  restartTimeout: { rule: integer(1, DAY, 'ms'), text: wholeNumber, default: DEFAULT_RESTART_TIMEOUT },
  signals: { rule: switchedGroup, text: truth, default: true },
  ...signalOptions(),
}

/** Any signal that this platform has and that can be caught; only those with a default are shown when nobody sets them. */
function signalOptions (): ConfigTable {
  const defaults = process.platform === 'win32' ? WINDOWS_SIGNALS : DEFAULT_SIGNALS
  const names = (Object.keys(constants.signals) as NodeJS.Signals[]).filter(name => name !== 'SIGKILL' && name !== 'SIGSTOP')
  return Object.fromEntries(names.map(name => {
    const option: ConfigOption = { rule: signalListener, text: choice(ACTIONS) }
    return [`signals.${name}`, name in defaults ? { ...option, default: defaults[name] } : option]
  }))
}

/** The option of a path, never one of `Object.prototype`. */
export function optionAt (table: ConfigTable, path: string): ConfigOption | undefined {
  return Object.hasOwn(table, path) ? table[path] : undefined
}

/** Whether options of the table are inside of that path. */
export function isGroup (table: ConfigTable, path: string): boolean {
  return Object.keys(table).some(other => other.startsWith(`${path}.`))
}

/** The lower-case words of a path: `drain.idleWindow` is `['drain', 'idle', 'window']`, `signals.SIGHUP` `['signals', 'sighup']`. */
export function wordsOf (path: string): string[] {
  return path.split('.').flatMap(name => name.split(/(?<=[a-z])(?=[A-Z])/)).map(word => word.toLowerCase())
}

/**
 * The rules of a table in the nested form that `optionChecker` of `@fastkeep/options` takes.
 *
 * @example checkOptions(options, { engine: anEngine, ...rulesOf(OPTIONS) })
 */
export function rulesOf (table: ConfigTable): Record<string, Rule> {
  const rules: Record<string, Rule> = {}
  for (const [path, { rule }] of Object.entries(table)) {
    const [name, inner] = path.split('.') as [string, string?]
    if (inner === undefined) rules[name] = isGroup(table, path) ? groupRule(rule) : rule
    else rules[name] = { ...rules[name] ?? groupRule(), rules: { ...rules[name]?.rules, [inner]: rule } }
  }
  return rules
}

function groupRule (own?: Rule): Rule {
  return {
    expected: own?.expected ?? 'an object',
    accepts: value => own?.accepts(value) === true || isObject(value),
    rules: {},
  }
}

export function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
