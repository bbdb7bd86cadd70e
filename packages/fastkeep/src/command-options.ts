import { arrayOf, boolean, integer, oneOf, string, type Rule } from '@fastkeep/options'
import { OPTIONS, type ConfigOptions, type ConfigTable } from '@fastkeep/engine'
import { LISTEN_FORMS, parseListen } from './listen-text.js'
import { choice, list, plain, truth } from './text-forms.js'
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
  /** File that the logger of an app without one of its own writes to; opened again on `graceful`. Default: standard output. */
  log?: string
  /** From which level on. Default `info`. */
  logLevel?: string
}

const MOST_WORKERS = 1_024
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
  log: 'file that the logger writes to, opened again on "graceful"; standard output without it',
  logLevel: 'from which level on',
  config: 'the configuration file; without it fastkeep.config.{json,js,mjs,ts} of the working directory',
  port: 'TCP port; 0 lets the system choose one',
  host: 'address or name to listen on, or several with commas',
  path: 'a unix socket instead of host and port; also --socket',
  mode: 'permissions of the unix socket',
  socketName: 'FileDescriptorName= of the systemd socket to take',
  pidFile: 'the PID file',
  controlSocket: 'the control socket; beside the PID file without it; "none" for none',
  user: 'the user to become',
  group: 'its group; its own without it',
  umask: 'file mode creation mask',
  logFiles: 'log files to give to that user',
  mustRead: 'what that user must be able to read',
  crash: 'what follows an uncaught error: drain and exit with 70',
  'crash.deadline': 'ms for that drain',
  'crash.on': 'which faults count',
  autoreload: 'reload when a loaded file changes, for development; also --watch',
  'autoreload.root': 'only files in this directory count',
  'autoreload.ignore': 'files and directories that do not count',
  'autoreload.files': 'files that count although they are no modules',
  daemon: 'run in the background; the command ends with the outcome of the start',
  'daemon.stdin': 'what the daemon reads',
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
  signals: 'handle signals',
  json: 'print JSON',
  ...TLS_FLAG_TEXTS,
}

/** Some of the options of `start`. */
export function pick (...paths: string[]): ConfigTable {
  return Object.fromEntries(Object.entries(START_OPTIONS).filter(([path]) => paths.includes(path)))
}

/** Of the commands whose result a program may read. */
export const JSON_FLAG: ConfigTable = { json: { rule: boolean, text: truth } }
