import type { FastifyInstance } from 'fastify'
import { boolean, optionChecker, type Rule } from '@fastkeep/options'
import { joinLife } from './app-life.js'
import type { LogEntry } from './bus/channels.js'
import { configureEngine } from './configure-engine.js'
import { loadConfig, type ConfigControl } from './config/load-config.js'
import { OPTIONS, rulesOf, type ConfigOptions } from './config/options.js'
import { Engine } from './engine.js'
import { RegistrationRefused } from './errors.js'
import { subscribeLogDestination } from './log-destination.js'
import { launchDaemon, type DaemonOptions } from './plugins/launch-daemon.js'
import { type SignalMap } from './plugins/signal-handler.js'
import { checkListenOptions } from './server/listen-options.js'
import { supervised } from './supervisor/supervised.js'

declare module 'fastify' {
  interface FastifyInstance {
    engine: Engine
  }
}

export interface EnginePluginOptions extends ConfigOptions, ConfigControl {
  /** An engine to join, for several apps on one; it has its own options. Default: a new one. */
  engine?: Engine
}

const NAME = '@fastkeep/engine'

const signals: Rule = {
  expected: 'a boolean or an object of signal names',
  accepts: value => typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
}

const RULES: Record<string, Rule> = {
  ...rulesOf(OPTIONS),
  engine: { expected: 'an Engine', accepts: value => value instanceof Engine },
  environment: boolean,
  lock: boolean,
  // SignalHandler says more about what is wrong with one of them.
  signals,
}

const checkOptions = optionChecker('engine')

/**
 * Puts a Fastify instance on a process bus: decorates `app.engine`, handles signals, drains the app before it closes.
 * `app.listen()`, `app.close()`, `engine.start()` and `engine.exit()` all go through the bus, whichever comes first.
 *
 * Options come from code, from the environment (`FASTKEEP_*`), and from the file that `config` or `FASTKEEP_CONFIG`
 * names; code beats the environment, the environment beats the file.
 *
 * With `daemon` this is the launch: it must be the first registration, and in the process that launches the daemon it
 * never resolves.
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`, `FST_KEEP_ENGINE_REGISTRATION_REFUSED`,
 * `FST_KEEP_ENGINE_CONFIG_...`, `FST_KEEP_ENGINE_DAEMON_...`
 * @example
 * await app.register(engine, { port: 8080 })
 * await runToExit(app.engine)
 */
async function enginePlugin (app: FastifyInstance, options: EnginePluginOptions): Promise<void> {
  checkOptions(options, RULES)
  assertPlace(app)
  if (options.engine !== undefined) return join(app, options.engine, withoutOwn(options))

  const { options: config, effective } = await loadConfig(options)
  if (supervised === undefined && config.daemon !== undefined && config.daemon !== false) await launch(app, config.daemon)
  const { drain, restartTimeout } = config
  const engine = new Engine({ ...drain === undefined ? {} : { drain }, ...restartTimeout === undefined ? {} : { restartTimeout } })
  engine.effective = effective
  configureEngine(engine, supervised === undefined ? config : ofWorker(config))
  join(app, engine, config)
}

function join (app: FastifyInstance, engine: Engine, { port, host, path, mode, socketName }: ConfigOptions): void {
  const address = Object.fromEntries(Object.entries({ port, host, path, mode, socketName }).filter(([, value]) => value !== undefined))
  checkListenOptions(address)
  const served = engine.server.add(app, address)
  app.decorate('engine', engine)
  engine.subscribe('log', entry => writeTo(app, entry))
  subscribeLogDestination(app, engine)
  joinLife(app, engine, served)
}

/** What is one for all workers is the supervisor's: the daemon, the PID file, the change of user, and most signals. */
function ofWorker ({ signals, crash, drain, restartTimeout }: ConfigOptions): ConfigOptions {
  const own = typeof signals === 'object' ? signals : {}
  return {
    ...crash === undefined ? {} : { crash },
    ...drain === undefined ? {} : { drain },
    ...restartTimeout === undefined ? {} : { restartTimeout },
    signals: signals === false ? false : { ...own, ...SIGNALS_OF_SUPERVISOR },
  }
}

/** What is registered before would be opened in the launcher as well as in the daemon. */
async function launch (app: FastifyInstance, daemon: true | DaemonOptions): Promise<void> {
  const others = app.printPlugins().split('\n').filter(line => /^[\u251c\u2514]\u2500[\u2500\u252c] /.test(line) && !/^... (bound _after|@fastkeep\/engine) /.test(line))
  if (others.length > 0) {
    throw new RegistrationRefused(`engine: with the option "daemon" it must be registered before anything else, there was ${(others[0] as string).slice(4)}`)
  }
  // In the launcher this registration never ends, which Fastify reports after its pluginTimeout: the launcher waits on.
  process.on('uncaughtException', passOverPluginTimeout)
  await launchDaemon(daemon === true ? {} : daemon)
  process.off('uncaughtException', passOverPluginTimeout)
}

function passOverPluginTimeout (error: Error & { code?: string }): void {
  if (error.code === 'FST_ERR_PLUGIN_TIMEOUT') return
  process.off('uncaughtException', passOverPluginTimeout)
  throw error
}

function assertPlace (app: FastifyInstance): void {
  if (!app.version.startsWith('5.')) throw new RegistrationRefused(`engine: it needs Fastify 5, this is ${app.version}`)
  if (app.hasDecorator('engine')) throw new RegistrationRefused('engine: this app has an engine already: register it once, at the root')
  if (Object.getPrototypeOf(app) !== Object.prototype) throw new RegistrationRefused('engine: register it at the root of the app, not inside a scope')
}

/** They come to every process of a terminal, and the supervisor says what follows. */
const SIGNALS_OF_SUPERVISOR: SignalMap = { SIGINT: 'ignore', SIGHUP: 'ignore', SIGUSR1: 'ignore', SIGUSR2: 'ignore' }

const OF_AN_APP = new Set(['engine', 'port', 'host', 'path', 'mode', 'socketName'])

/** An engine that exists was given all but the address when it was made. */
function withoutOwn (options: EnginePluginOptions): EnginePluginOptions {
  for (const [key, value] of Object.entries(options)) {
    if (OF_AN_APP.has(key) || value === undefined || value === false) continue
    throw new RegistrationRefused(`engine: the options "engine" and "${key}" contradict each other: an engine that exists has its own`)
  }
  return options
}

function writeTo (app: FastifyInstance, { message, level, error, code }: LogEntry): void {
  app.log[level]({ ...code === undefined ? {} : { code }, ...error === undefined ? {} : { err: error } }, message)
}

/**
 * What `fastify-plugin` would set; to load it, and to compare versions with it, takes 3 ms of each start.
 *
 * @see https://fastify.dev/docs/latest/Reference/Plugins/#handle-the-scope
 */
export const engine = Object.assign(enginePlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: NAME,
  [Symbol.for('plugin-meta')]: { name: NAME },
})
