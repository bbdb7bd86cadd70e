import type { FastifyInstance, FastifyListenOptions } from 'fastify'
import type { Engine } from './engine.js'
import { IllegalTransition } from './errors.js'
import { checkListenOptions } from './server/listen-options.js'
import type { ServedApp } from './server/served-app.js'

/** Has Fastify's own `listen` and `close` go through the bus, and the bus through them. */
export function joinLife (app: FastifyInstance, engine: Engine, served: ServedApp): void {
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
