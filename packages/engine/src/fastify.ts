import fp from 'fastify-plugin'
import { type FastifyInstance, type FastifyListenOptions } from 'fastify'
import { optionChecker, type Rule } from '@fastkeep/options'
import { type LogEntry } from './bus/channels.js'
import { Engine, ENGINE_RULES, type EngineOptions } from './engine.js'
import { IllegalTransition, RegistrationRefused } from './errors.js'
import { SignalHandler, type SignalMap } from './plugins/signal-handler.js'
import { ADDRESS_RULES, checkListenOptions, type ListenOptions } from './server/listen-options.js'
import { type ServedApp } from './server/served-app.js'

declare module 'fastify' {
  interface FastifyInstance {
    engine: Engine
  }
}

export interface EnginePluginOptions extends EngineOptions, Pick<ListenOptions, 'port' | 'host' | 'path' | 'mode' | 'socketName'> {
  /** An engine to join, for several apps on one. Default: a new one. */
  engine?: Engine
  /** Which signals do what, beside the defaults; `false`: none are handled. Default: see the README's table. */
  signals?: boolean | SignalMap
}

const signals: Rule = {
  expected: 'a boolean or an object of signal names',
  accepts: value => typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
}

const RULES = {
  ...ENGINE_RULES,
  ...ADDRESS_RULES,
  engine: { expected: 'an Engine', accepts: value => value instanceof Engine },
  signals,
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
  const { engine: joined, signals, drain, restartTimeout, ...address } = options
  checkListenOptions(address)
  assertOnlyOfItsOwn(options)
  if (app.hasDecorator('engine')) throw new RegistrationRefused('engine: this app has an engine already: register it once, at the root')
  if (Object.getPrototypeOf(app) !== Object.prototype) throw new RegistrationRefused('engine: register it at the root of the app, not inside a scope')

  const engine = joined ?? new Engine({ ...drain === undefined ? {} : { drain }, ...restartTimeout === undefined ? {} : { restartTimeout } })
  const served = engine.server.add(app, address)
  app.decorate('engine', engine)
  engine.subscribe('log', entry => writeTo(app, entry))
  if (signals !== false && joined === undefined) {
    new SignalHandler(engine, typeof signals === 'object' ? signals : {}).subscribe()
  }
  joinLife(app, engine, served)
}

/** An engine that exists was given these when it was made. */
function assertOnlyOfItsOwn (options: EnginePluginOptions): void {
  if (options.engine === undefined) return
  for (const key of ['drain', 'restartTimeout', 'signals'] as const) {
    if (options[key] === undefined || options[key] === false) continue
    throw new RegistrationRefused(`engine: the options "engine" and "${key}" contradict each other: an engine that exists has its own`)
  }
}

/** Has Fastify's own `listen` and `close` go through the bus, and the bus through them. */
function joinLife (app: FastifyInstance, engine: Engine, served: ServedApp): void {
  const listen = async (options: FastifyListenOptions): Promise<string> => {
    if (!engine.isAtRest || served.isClosed) throw new IllegalTransition('listen', served.isClosed ? 'done with this app: it was closed' : engine.state)
    const { cb: _callback, ...listenOptions } = options as FastifyListenOptions & { cb?: unknown }
    checkListenOptions(listenOptions)
    served.setListenOptions(listenOptions)
    if (listenOptions.signal?.aborted === true) {
      await app.close()
      return ''
    }
    await engine.start()
    return served.urls[0] as string
  }
  const close = async (): Promise<void> => {
    if (engine.state === 'STARTED' && !engine.server.isLast(served)) return await engine.server.close(served)
    if (!engine.isAtRest && engine.state !== 'EXITED') return await exitOrClose(engine, served)
    const isLast = engine.server.isLast(served)
    engine.server.forget(served)
    await served.close()
    if (isLast) await engine.exit()
  }
  Object.assign(app, { listen: withCallback(listen), close: withCallback(close) })
}

/** A stop listener may close its app: it was drained, and an exit would wait for that very listener. */
async function exitOrClose (engine: Engine, served: ServedApp): Promise<void> {
  try {
    await engine.exit()
  } catch (error) {
    const isReentrant = (error as { code?: string }).code === 'FST_KEEP_ENGINE_REENTRANT_TRANSITION'
    if (!isReentrant || (engine.state !== 'STOPPING' && engine.state !== 'EXITING')) throw error
    await served.close()
  }
}

type Callback = (error: Error | null, result?: unknown) => void

/** Fastify's methods take a callback or return a promise. */
function withCallback<Options> (method: (options: Options) => Promise<unknown>) {
  return (...args: unknown[]): Promise<unknown> | undefined => {
    const callback = args.find(arg => typeof arg === 'function') as Callback | undefined
    const [options = {}] = args.filter(arg => typeof arg !== 'function')
    const promise = method(options as Options)
    if (callback === undefined) return promise
    promise.then(result => callback(null, result), (error: Error) => callback(error))
  }
}

function writeTo (app: FastifyInstance, { message, level, error, code }: LogEntry): void {
  app.log[level]({ ...code === undefined ? {} : { code }, ...error === undefined ? {} : { err: error } }, message)
}

export const engine = fp(enginePlugin, { fastify: '5.x', name: '@fastkeep/engine' })
