import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import enginePlugin, { OPTIONS, serverOptions, type Engine } from '@fastkeep/engine'
import type { CommandOptions } from './command-options.js'
import type { Configuration } from './configuration.js'
import { withConfigurationInEnvironment } from './configuration-environment.js'
import { appFailed, AppRefused } from './errors.js'
import { importModules } from './import-modules.js'
import { isInstance, loadApp } from './load-app.js'
import { openLog } from './process-log.js'

/** Without the options of the command alone. */
type EngineConfiguration = Pick<Configuration, 'options' | 'effective'>

/** An instance is never returned by itself: it looks like a promise until it has loaded. */
interface Instance {
  readonly app: FastifyInstance
  /** Still to be registered on it. */
  readonly plugin?: FastifyPluginAsync
}

/**
 * The engine that serves an app: the app's own one where it has registered the plugin, else one with the options of the
 * configuration, registered before anything else. An app with its own engine finds the configuration in the environment.
 *
 * @throws what {@link loadApp} and the engine's plugin do
 */
export async function makeEngine (file: string, configuration: EngineConfiguration): Promise<Engine> {
  const path = resolve(file)
  return await withConfigurationInEnvironment(configuration.effective, async () => {
    const { app, plugin } = await instanceOf(path, configuration.options)
    if (app.server.listening) throw new AppRefused(path, 'the app listens already: export it without calling listen(), the command does that')
    // What was registered by now is loaded then, the engine included.
    await app.after()
    if (!app.hasDecorator('engine')) await registerEngine(app, path, configuration)
    if (plugin !== undefined) app.register(plugin)
    return app.engine
  })
}

async function instanceOf (path: string, options: CommandOptions): Promise<Instance> {
  // The app's logger would wait for it without a word.
  if (options.log !== undefined) closeSync(openLog(resolve(options.log)))
  await importModules(options.import)
  const loaded = await loadApp(path)
  if (loaded.kind === 'instance') return { app: loaded.app }
  const base: FastifyServerOptions = { ...serverOptions(), logger: loggerOf(options) }
  if (loaded.kind === 'plugin') return { app: fastifyFor(path)({ ...base, ...loaded.options }) as unknown as FastifyInstance, plugin: loaded.plugin }
  try {
    const app = await loaded.make(base)
    if (isInstance(app)) return { app }
  } catch (cause) {
    throw appFailed(path, cause)
  }
  throw new AppRefused(path, 'its function returned something else than a Fastify instance; a plugin has two parameters: (fastify, options)')
}

async function registerEngine (app: FastifyInstance, path: string, { options, effective }: EngineConfiguration): Promise<void> {
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'config' && (Object.hasOwn(OPTIONS, name) || isGroup(name))))
  try {
    await app.register(enginePlugin, { ...own, ...neededLater(options), environment: false })
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'FST_ERR_INSTANCE_ALREADY_LISTENING' && (cause as { code?: string }).code !== 'AVV_ERR_ROOT_PLG_BOOTED') throw cause
    throw new AppRefused(path, 'the app has called ready() already: export it before that, or register the engine in it', { cause })
  }
  app.engine.effective = effective
}

/** The user must be able to open the log again later, and to read the keys. */
function neededLater ({ user, log, logFiles = [], secrets = [], mustRead = [] }: CommandOptions): Pick<CommandOptions, 'logFiles' | 'mustRead'> {
  if (user === undefined) return {}
  return {
    ...log === undefined ? {} : { logFiles: [...logFiles, resolve(log)] },
    ...secrets.length === 0 ? {} : { mustRead: [...mustRead, ...secrets] },
  }
}

function isGroup (name: string): boolean {
  return Object.keys(OPTIONS).some(path => path.startsWith(`${name}.`))
}

function loggerOf ({ log, logLevel = 'info' }: CommandOptions): { level: string, file?: string } {
  return { level: logLevel, ...log === undefined ? {} : { file: resolve(log) } }
}

/** The app's own Fastify, so that the process has one; this package's where the app has none. */
function fastifyFor (path: string): typeof Fastify {
  for (const from of [path, import.meta.url]) {
    try {
      return createRequire(from)('fastify') as typeof Fastify
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new AppRefused(path, 'fastify is not installed; npm install fastify')
}
