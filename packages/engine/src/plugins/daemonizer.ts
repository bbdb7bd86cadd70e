import { optionChecker } from '@fastkeep/options'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { daemonState } from './daemon-channel.js'
import { DaemonDirectoryRefused, LauncherGone } from './daemonizer-errors.js'
import { DAEMON_RULES, launchDaemon, type DaemonOptions } from './launch-daemon.js'

const checkOptions = optionChecker('engine')

/**
 * Makes the process a daemon: `launch` is {@link launchDaemon}; in the daemon, `start` 65 enters the working directory
 * and `ready` 95 tells the launcher. Standard output and error are never swapped afterwards: log files are reopened by
 * their logger on `graceful`.
 *
 * @throws at `start`: `FST_KEEP_ENGINE_DAEMON_DIRECTORY_REFUSED`; at `ready`: `FST_KEEP_ENGINE_DAEMON_LAUNCHER_GONE`
 * @example
 * new Daemonizer(engine, { stdout: '/var/log/service.log', stderr: '/var/log/service.log', cwd: '/' }).subscribe()
 * await runToExit(engine)
 */
export class Daemonizer {
  readonly #engine: Engine
  readonly #options: DaemonOptions
  readonly #unit: Unit<'launch' | 'start' | 'ready'>

  constructor (engine: Engine, options: DaemonOptions = {}) {
    checkOptions(options, DAEMON_RULES)
    this.#engine = engine
    this.#options = options
    this.#unit = new Unit(engine, 'Daemonizer', {
      launch: { channel: 'launch', priority: 50, run: () => launchDaemon(this.#options) },
      start: { channel: 'start', priority: 65, run: () => this.#enterDirectory() },
      ready: { channel: 'ready', priority: 95, run: () => this.#tellLauncher() },
    })
  }

  /** Daemonizes when the bus starts. */
  subscribe (priorities?: Priorities<'launch' | 'start' | 'ready'>): this {
    this.#unit.subscribe(priorities)
    return this
  }

  unsubscribe (): void {
    this.#unit.unsubscribe()
  }

  #enterDirectory (): void {
    const { cwd } = this.#options
    if (cwd === undefined) return
    try {
      process.chdir(cwd)
    } catch (cause) {
      throw new DaemonDirectoryRefused(cwd, (cause as Error).message, { cause })
    }
  }

  #tellLauncher (): void {
    if (daemonState.isReady === true) return
    if (daemonState.channel?.ready() === false) throw new LauncherGone()
    daemonState.isReady = true
    this.#engine.log(`Daemonized to PID: ${process.pid}`)
  }
}
