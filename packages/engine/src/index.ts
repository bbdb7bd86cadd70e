import { Bus } from './bus/bus.js'
import { ChannelFailures, ListenerFailure } from './bus/channel-failures.js'
import { Engine } from './engine.js'
import { ExitCode } from './exit-codes.js'
import { engine as plugin } from './fastify.js'
import { DEFAULT_SIGNALS, SignalHandler } from './plugins/signal-handler.js'
import { runToExit } from './run-to-exit.js'
import { DEFAULT_DRAIN, Server } from './server/server.js'

/** The plugin, with everything that the package exports: what `require('@fastkeep/engine')` gives. */
export const engine = Object.assign(plugin, {
  Bus, ChannelFailures, DEFAULT_DRAIN, DEFAULT_SIGNALS, Engine, ExitCode, ListenerFailure, runToExit, Server, SignalHandler,
})

export default engine
export { engine as 'module.exports' }
export { Bus, ChannelFailures, DEFAULT_DRAIN, DEFAULT_SIGNALS, Engine, ExitCode, ListenerFailure, runToExit, Server, SignalHandler }

export { type Listener, type SubscribeOptions } from './bus/channel.js'
export { type Channels, type LogEntry, type LogLevel } from './bus/channels.js'
export { type WaitOptions } from './bus/state-waiters.js'
export { type State } from './bus/states.js'
export { type EngineOptions } from './engine.js'
export { type EngineError } from './errors.js'
export { type EnginePluginOptions } from './fastify.js'
export { type SignalAction, type SignalListener, type SignalMap } from './plugins/signal-handler.js'
export { type DrainListener, type DrainOptions } from './server/drain.js'
export { type ListenOptions } from './server/listen-options.js'
export { type AppFactory, type ServerDrainOptions } from './server/server.js'
