import fp from 'fastify-plugin'
import { type FastifyInstance, type FastifyListenOptions } from 'fastify'
import { integer, nested, optionChecker, string, type Rule } from '@fastkeep/options'
import { type LogEntry } from './bus/channels.js'
import { Engine, type EngineOptions } from './engine.js'
import { RegistrationRefused } from './errors.js'
import { SignalHandler, type SignalMap } from './plugins/signal-handler.js'
import { type ServedApp } from './server/served-app.js'

declare module 'fastify' {
  interface FastifyInstance {
    engine: Engine
  }
}

export interface EnginePluginOptions extends EngineOptions {
  /** An engine to join, for several apps on one. Default: a new one. */
  engine?: Engine
  /** TCP port; 0 lets the system choose one. Default 0. */
  port?: number
  /** An address, a name (all its addresses are bound), or several. Default `127.0.0.1`. */
  host?: string | readonly string[]
  /** A unix socket instead of host and port. A stale one is replaced, the socket is removed at the end. */
  path?: string
  /** Permissions of the unix socket. Default 0o600: this user only. */
  mode?: number
  /** The `FileDescriptorName=` of the systemd socket that this app takes. Default: all sockets that were passed. */
  socketName?: string
  /** Which signals do what, beside the defaults; `false`: none are handled. Default: SIGTERM and SIGINT exit. */
  signals?: boolean | SignalMap
}

const DAY = 86_400_000

const host: Rule = {
  expected: 'an address, a name, or an array of them',
  accepts: value => [value].flat().length > 0 && [value].flat().every(name => typeof name === 'string' && name !== ''),
}

const signals: Rule = {
  expected: 'a boolean or an object of signal names',
  accepts: value => typeof value === 'boolean' || (typeof value === 'object' && value !== null),
}

const RULES = {
  engine: { expected: 'an Engine', accepts: value => value instanceof Engine },
  port: integer(0, 65_535, 'TCP ports'),
  host,
  path: string('the path of a unix socket'),
  mode: integer(0, 0o777, 'permission bits'),
  socketName: string(),
  signals,
  drain: nested({ idleWindow: integer(0, DAY, 'ms'), restartIdleWindow: integer(0, DAY, 'ms'), deadline: integer(1, DAY, 'ms') }),
  restartTimeout: integer(1, DAY, 'ms'),
} satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/**
 * Puts a Fastify instance on a process bus: decorates `app.engine`, has SIGTERM and SIGINT stop it, drains it before it
 * closes. `app.listen()`, `app.close()`, `engine.start()` and `engine.exit()` all go through the bus, whichever comes
 * first.
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`, `FST_KEEP_ENGINE_REGISTRATION_REFUSED`
 * @example
 * await app.register(engine, { port: 8080 })
 * await runToExit(app.engine)
 */
async function enginePlugin (app: FastifyInstance, options: EnginePluginOptions): Promise<void> {
  checkOptions(options, RULES)
  if (options.engine !== undefined && options.drain !== undefined) {
    throw new RegistrationRefused('engine: the options "engine" and "drain" contradict each other: an engine that exists has its drain options')
  }
  if (app.hasDecorator('engine')) throw new RegistrationRefused('engine: this app has an engine already: register it once, at the root')
  if (Object.getPrototypeOf(app) !== Object.prototype) throw new RegistrationRefused('engine: register it at the root of the app, not inside a scope')

  const { path, mode, socketName, port, host, drain, restartTimeout } = options
  if (path !== undefined && (port !== undefined || host !== undefined)) {
    throw new RegistrationRefused('engine: the options "path" and "port" or "host" contradict each other: listen on a unix socket or on TCP')
  }
  const engine = options.engine ?? new Engine({ ...drain === undefined ? {} : { drain }, ...restartTimeout === undefined ? {} : { restartTimeout } })
  app.decorate('engine', engine)
  engine.subscribe('log', entry => writeTo(app, entry))
  if (options.signals !== false && options.engine === undefined) {
    new SignalHandler(engine, typeof options.signals === 'object' ? options.signals : {}).subscribe()
  }
  const given = Object.entries({ path, mode, socketName, port, host }).filter(([, value]) => value !== undefined)
  joinLife(app, engine, engine.server.add(app, Object.fromEntries(given)))
}

/** Has Fastify's own `listen` and `close` go through the bus, and the bus through them. */
function joinLife (app: FastifyInstance, engine: Engine, served: ServedApp): void {
  const listen = async (options: FastifyListenOptions): Promise<string> => {
    const { cb: _callback, ...listenOptions } = options as FastifyListenOptions & { cb?: unknown }
    served.setListenOptions(listenOptions)
    await engine.start()
    return served.urls[0] as string
  }
  const close = async (): Promise<void> => {
    const isUp = engine.state === 'STARTING' || engine.state === 'STARTED'
    if (isUp && !served.isClosed && !engine.server.isLast(served)) return engine.server.close(served)
    if (isUp && !served.isClosed) return engine.exit()
    await served.close()
    if (engine.state === 'STOPPED') await engine.exit()
  }
  Object.assign(app, { listen: withCallback(listen), close: withCallback(close) })
}

type Callback = (error: Error | null, result?: unknown) => void

/** Fastify's methods take a callback or return a promise. */
function withCallback<Options> (method: (options: Options) => Promise<unknown>) {
  return (...args: unknown[]): Promise<unknown> | undefined => {
    const callback = args.find(arg => typeof arg === 'function') as Callback | undefined
    const options = args.find(arg => typeof arg === 'object') ?? {}
    const promise = method(options as Options)
    if (callback === undefined) return promise
    promise.then(result => callback(null, result), (error: Error) => callback(error))
  }
}

function writeTo (app: FastifyInstance, { message, level, error }: LogEntry): void {
  if (error === undefined) app.log[level](message)
  else app.log[level]({ err: error }, message)
}

export const engine = fp(enginePlugin, { fastify: '5.x', name: '@fastkeep/engine' })
