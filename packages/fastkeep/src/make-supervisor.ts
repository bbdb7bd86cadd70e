import { resolve } from 'node:path'
import { configureEngine, Engine, Supervisor, type Given, type ListenOptions } from '@fastkeep/engine'
import type { CommandOptions } from './command-options.js'
import type { Configuration } from './configuration.js'
import { RUN_APP } from './entries.js'
import { UsageError } from './errors.js'
import { flagArguments } from './flag-arguments.js'
import { parseListen } from './listen-text.js'
import { logProcess } from './process-log.js'

/**
 * The engine of a supervisor whose workers serve an app. It loads nothing of the app.
 *
 * @param flags those of the command, which the workers get too
 * @throws what `Supervisor` does of options that are wrong; `FST_KEEP_FASTKEEP_USAGE` for `--watch`
 */
export function makeSupervisor (file: string, { options, effective }: Pick<Configuration, 'options' | 'effective'>, flags: readonly Given[]): Engine {
  const { drain: { delay: _workersOwn, ...drain } = {}, restartTimeout, workers = 'auto', user, group, umask, mustRead, secrets, readyTimeout, blockedAfter, balance, recycle, logFiles = [], log, logLevel, autoreload, signals } = options
  if (autoreload !== undefined && autoreload !== false) throw new UsageError('--watch and --workers contradict each other: for development one process is enough')
  const files = user === undefined || log === undefined ? logFiles : [...logFiles, log]
  const engine = new Engine(defined({ drain, restartTimeout }))
  engine.effective = effective
  logProcess(engine, { file: log, level: logLevel })
  const supervisor = new Supervisor(engine, {
    program: RUN_APP,
    args: [resolve(file), ...flagArguments(flags)],
    workers,
    listen: listenersOf(options),
    ...process.execArgv.length === 0 ? {} : { execArgv: process.execArgv },
    ...defined({ user, group, umask, mustRead, secrets, readyTimeout, blockedAfter, balance, recycle }),
    ...files.length === 0 ? {} : { logFiles: files },
  }).subscribe()
  const { crash, daemon, pidFile, controlSocket } = options
  configureEngine(engine, {
    ...defined({ crash, daemon, pidFile, controlSocket }),
    signals: signals === false ? false : { ...supervisor.signals, ...typeof signals === 'object' ? signals : {} },
  })
  return engine
}

/** `--mode` is that of every unix socket. */
export function listenersOf ({ listen, port, host, path, mode, socketName }: CommandOptions): ListenOptions[] {
  if (listen === undefined) return [defined({ port, host, path, mode, socketName })]
  const other = Object.entries({ port, host, path, socketName }).find(([, value]) => value !== undefined)
  if (other !== undefined) throw new UsageError(`"listen" and "${other[0]}" contradict each other: put all addresses into "listen"`)
  return listen.map(text => ({ ...parseListen(text), ...defined({ mode }) }))
}

/** What is not given keeps its default. */
function defined<Options extends object> (options: Options): { [name in keyof Options]: Exclude<Options[name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [name in keyof Options]: Exclude<Options[name], undefined> }
}
