import { arrayOf, boolean, integer, oneOf, string, type Rule } from '@fastkeep/options'
import { OPTIONS, type ConfigOptions, type ConfigTable, type RecycleOptions } from '@fastkeep/engine'
import { LISTEN_FORMS, parseListen } from './listen-text.js'
import { choice, list, plain, truth, wholeNumber } from './text-forms.js'
import { TLS_FLAG_TEXTS } from './tls-options.js'

/** What the command takes besides the engine's own options, by flag, environment or file. */
export interface CommandOptions extends ConfigOptions {
  /** Worker processes, or `auto`: one for each CPU that this process may use. Default: none, one process does all. */
  workers?: number | 'auto'
  /** Addresses that the workers listen on, in place of one by host and port or path; see `parseListen`. */
  listen?: readonly string[]
  /** Files that only root may read, handed to the workers. */
  secrets?: readonly string[]
  /** Keys whose passphrases are asked for on the terminal, before anything else. */
  askPassphrase?: readonly string[]
  /** Modules to be imported before the app, e.g. `tsx`. */
  import?: readonly string[]
  /** ms within which a worker must serve. Default 60,000. */
  readyTimeout?: number
  /** ms without a sign of life after which a worker is replaced. Default 10,000. */
  blockedAfter?: number
  /** Whether a worker that has more connections than its share leaves new ones to the others. Default true. */
  balance?: boolean
  /** When a worker that is well gives its place to a new one. Default: never. */
  recycle?: RecycleOptions
  /** File that the logger of an app without one of its own writes to; opened again on `graceful`. Default: standard output. */
  log?: string
  /** From which level on. Default `info`. */
  logLevel?: string
}

const MOST_WORKERS = 1_024
const LONGEST_TIMER = 2 ** 31 - 1
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const paths = arrayOf(string('a path'))

const addresses: Rule = {
  expected: `one or more ${LISTEN_FORMS}`,
  accepts: value => Array.isArray(value) && value.length > 0 && value.every(text => typeof text === 'string' && parseListen(text) !== undefined),
}

const OWN_OPTIONS: ConfigTable = {
  workers: {
    rule: {
      expected: `a whole number from 1 to ${MOST_WORKERS}, or "auto"`,
      accepts: value => value === 'auto' || integer(1, MOST_WORKERS, 'workers').accepts(value),
    },
    text: { parse: text => text === 'auto' ? text : /^[1-9]\d{0,3}$/.test(text) ? Number(text) : undefined, format: String },
  },
  listen: { rule: addresses, text: list },
  secrets: { rule: paths, text: list },
  askPassphrase: { rule: paths, text: list },
  import: { rule: arrayOf(string('the name of a module')), text: list },
  readyTimeout: { rule: integer(1, LONGEST_TIMER, 'ms'), text: wholeNumber, default: 60_000, onlyWith: 'workers' },
  blockedAfter: { rule: integer(2_000, LONGEST_TIMER, 'ms'), text: wholeNumber, default: 10_000, onlyWith: 'workers' },
  balance: { rule: boolean, text: truth, default: true, onlyWith: 'workers' },
  'recycle.requests': { rule: integer(1, Number.MAX_SAFE_INTEGER, 'requests'), text: wholeNumber },
  'recycle.age': { rule: integer(1_000, Number.MAX_SAFE_INTEGER, 'ms'), text: wholeNumber },
  'recycle.memory': { rule: integer(1, Number.MAX_SAFE_INTEGER, 'bytes'), text: wholeNumber },
  log: { rule: string('a path'), text: plain },
  logLevel: { rule: oneOf(LEVELS), text: choice(LEVELS), default: 'info' },
}

/** All options of `start`, in the order of its help. */
export const START_OPTIONS: ConfigTable = { ...OWN_OPTIONS, ...OPTIONS }

/** Those by which the other commands find a running service. */
export const SERVICE_OPTIONS: ConfigTable = pick('pidFile', 'controlSocket', 'config')

/** Names that a flag has besides its own: `--socket` for `--path`. */
export const ALIASES: Readonly<Record<string, string>> = {
  '--socket': '--path',
  '--watch': '--autoreload',
  '--no-watch': '--no-autoreload',
}

/** What each flag means, in one line of help. */
export const FLAG_TEXTS: Readonly<Record<string, string>> = {
  workers: 'worker processes, or "auto"; without it one process does all',
  listen: 'with workers, several addresses: http=0.0.0.0:80,https=[::]:443,unix:/run/shop.sock',
  secrets: 'with workers, files that only root may read; the supervisor reads them for its workers',
  askPassphrase: 'keys whose passphrase is asked for on the terminal, once, and kept',
  import: 'what to import before the app, e.g. tsx for TypeScript',
  readyTimeout: 'ms within which a worker must serve',
  blockedAfter: 'ms without a sign of life after which a worker is killed and replaced',
  balance: 'a worker that has more connections than its share leaves new ones to the others',
  'recycle.requests': 'requests after which a worker gives its place to a new one',
  'recycle.age': 'ms after which it does',
  'recycle.memory': 'bytes of memory (resident set) from which on it does',
  log: 'file that the logger writes to, opened again on "graceful"; standard output without it',
  logLevel: 'trace, debug, info, warn, error, fatal, silent',
  config: 'the configuration file; without it fastkeep.config.{json,js,mjs,ts} of the working directory',
  port: 'TCP port; 0 lets the system choose one',
  host: 'address or name to listen on, or several with commas',
  path: 'a unix socket instead of host and port; also --socket',
  mode: 'permissions of the unix socket',
  socketName: 'FileDescriptorName= of the systemd socket to take',
  pidFile: 'the PID file, by which the other commands find it',
  controlSocket: 'where status, reload and so on reach it; <pid-file>.sock without it; "none" for none',
  user: 'the user to become',
  group: 'its group; its own without it',
  umask: 'file mode creation mask of the service',
  logFiles: 'log files that become that user\'s',
  mustRead: 'what that user must be able to read later; else the start fails',
  crash: 'an uncaught error is followed by a drain and exit code 70',
  'crash.deadline': 'ms for that drain',
  'crash.on': 'uncaughtException, unhandledRejection, both',
  autoreload: 'reload when a loaded file changes, for development; also --watch',
  'autoreload.root': 'only files in this directory count',
  'autoreload.ignore': 'files and directories that do not count',
  'autoreload.files': 'files that count although they are no modules',
  daemon: 'run in the background; the command ends with the outcome of the start',
  'daemon.stdin': 'file that it reads as standard input',
  'daemon.stdout': 'file for its standard output',
  'daemon.stderr': 'file for its standard error',
  'daemon.cwd': 'its working directory',
  'daemon.umask': 'its umask from its beginning',
  'daemon.timeout': 'ms within which it must be ready',
  'drain.delay': 'ms between "not ready" and the drain, for load balancers',
  'drain.idleWindow': 'ms for which idle connections stay usable at a stop',
  'drain.restartIdleWindow': 'the same after a successor has taken over',
  'drain.deadline': 'ms after which a drain cuts what is left',
  restartTimeout: 'ms within which a successor must serve',
  signals: 'SIGTERM, SIGINT drain and end it, SIGHUP reloads, SIGUSR1 is graceful, SIGUSR2 restarts',
  json: 'print JSON',
  ...TLS_FLAG_TEXTS,
}

/** Some of the options of `start`. */
export function pick (...paths: string[]): ConfigTable {
  return Object.fromEntries(Object.entries(START_OPTIONS).filter(([path]) => paths.includes(path)))
}

/** Of the commands whose result a program may read. */
export const JSON_FLAG: ConfigTable = { json: { rule: boolean, text: truth } }
