import { Bus } from './bus/bus.js'
import { ChannelFailures, ListenerFailure } from './bus/channel-failures.js'
import { describeConfig, formatConfig } from './config/describe.js'
import { readEnvironment } from './config/environment.js'
import { findConfigFile, readConfigFile } from './config/file.js'
import { parseFlags } from './config/flags.js'
import { loadConfig } from './config/load-config.js'
import { OPTIONS } from './config/options.js'
import { resolveConfig } from './config/resolve.js'
import { Engine } from './engine.js'
import { ExitCode } from './exit-codes.js'
import { engine as plugin } from './fastify.js'
import { Autoreloader } from './plugins/autoreloader.js'
import { BackgroundTask } from './plugins/background-task.js'
import { CrashPolicy } from './plugins/crash-policy.js'
import { Daemonizer, launchDaemon } from './plugins/daemonizer.js'
import { DropPrivileges } from './plugins/drop-privileges.js'
import { Monitor } from './plugins/monitor.js'
import { PIDFile } from './plugins/pid-file.js'
import { isHeldBy, readPIDFile } from './plugins/read-pid-file.js'
import { DEFAULT_SIGNALS, SignalHandler } from './plugins/signal-handler.js'
import { runToExit } from './run-to-exit.js'
import { serverOptions } from './server/server-options.js'
import { DEFAULT_DRAIN, Server } from './server/server.js'

const exported = {
  Autoreloader,
  BackgroundTask,
  Bus,
  ChannelFailures,
  CrashPolicy,
  Daemonizer,
  DEFAULT_DRAIN,
  DEFAULT_SIGNALS,
  describeConfig,
  DropPrivileges,
  Engine,
  ExitCode,
  findConfigFile,
  formatConfig,
  isHeldBy,
  launchDaemon,
  ListenerFailure,
  loadConfig,
  Monitor,
  OPTIONS,
  parseFlags,
  PIDFile,
  readConfigFile,
  readEnvironment,
  readPIDFile,
  resolveConfig,
  runToExit,
  Server,
  serverOptions,
  SignalHandler,
}

/** The plugin, with everything that the package exports: what `require('@fastkeep/engine')` gives. */
export const engine = Object.assign(plugin, exported)

export default engine
export { engine as 'module.exports' }
export {
  Autoreloader,
  BackgroundTask,
  Bus,
  ChannelFailures,
  CrashPolicy,
  Daemonizer,
  DEFAULT_DRAIN,
  DEFAULT_SIGNALS,
  describeConfig,
  DropPrivileges,
  Engine,
  ExitCode,
  findConfigFile,
  formatConfig,
  isHeldBy,
  launchDaemon,
  ListenerFailure,
  loadConfig,
  Monitor,
  OPTIONS,
  parseFlags,
  PIDFile,
  readConfigFile,
  readEnvironment,
  readPIDFile,
  resolveConfig,
  runToExit,
  Server,
  serverOptions,
  SignalHandler,
}

export { type Listener, type SubscribeOptions } from './bus/channel.js'
export { type Channels, type LogEntry, type LogLevel } from './bus/channels.js'
export { type WaitOptions } from './bus/state-waiters.js'
export { type State } from './bus/states.js'
export { type DescribedOption } from './config/describe.js'
export { type Given } from './config/given.js'
export { type ConfigControl, type OutsideConfig } from './config/load-config.js'
export { type ConfigOption, type ConfigOptions, type ConfigTable } from './config/options.js'
export { type ConfigSource, type EffectiveOption, type ResolvedConfig } from './config/resolve.js'
export { type EngineOptions } from './engine.js'
export { type EngineError } from './errors.js'
export { type EnginePluginOptions } from './fastify.js'
export { type AutoreloaderOptions, type Reloadable } from './plugins/autoreloader.js'
export { type BackgroundTaskOptions, type TaskCallback } from './plugins/background-task.js'
export { type CrashPolicyOptions, type Fault } from './plugins/crash-policy.js'
export { type DaemonOptions } from './plugins/daemonizer.js'
export { type DropPrivilegesOptions, type PrivilegesDropped } from './plugins/drop-privileges.js'
export { type MonitorOptions } from './plugins/monitor.js'
export { type PIDFileOptions } from './plugins/pid-file.js'
export { type PIDFileState } from './plugins/read-pid-file.js'
export { type SignalAction, type SignalListener, type SignalMap } from './plugins/signal-handler.js'
export { type DrainListener, type DrainOptions } from './server/drain.js'
export { type ListenOptions } from './server/listen-options.js'
export { type ServerOptions } from './server/server-options.js'
export { type AppFactory, type ServerDrainOptions } from './server/server.js'
