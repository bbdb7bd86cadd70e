import type { ConfigOptions } from './config/options.js'
import type { Engine } from './engine.js'
import { RegistrationRefused } from './errors.js'
import { Autoreloader } from './plugins/autoreloader.js'
import { CrashPolicy } from './plugins/crash-policy.js'
import { Daemonizer } from './plugins/daemonizer.js'
import { DropPrivileges } from './plugins/drop-privileges.js'
import { PIDFile } from './plugins/pid-file.js'
import { SignalHandler } from './plugins/signal-handler.js'
import { defaultControlSocket } from './supervisor/control-protocol.js'
import { ControlSocket } from './supervisor/control-socket.js'
import { supervised } from './supervisor/supervised.js'
import { SystemdNotifier } from './systemd/systemd-notifier.js'

/**
 * Subscribes the plugins that the options ask for, as the Fastify plugin does; the address is an app's or a supervisor's
 * own. Nothing is started.
 *
 * @throws what the plugins do of options that are wrong
 * @example configureEngine(engine, { pidFile: '/run/shop.pid', signals: { SIGHUP: 'graceful' } })
 */
export function configureEngine (engine: Engine, config: ConfigOptions): void {
  const { signals, crash, autoreload, daemon, pidFile, controlSocket = defaultControlSocket(pidFile), user, group, umask, logFiles, mustRead } = config
  if (signals !== false) new SignalHandler(engine, typeof signals === 'object' ? signals : {}).subscribe()
  if (crash !== false) new CrashPolicy(engine, typeof crash === 'object' ? crash : {}).subscribe()
  if (autoreload !== undefined && autoreload !== false) new Autoreloader(engine, typeof autoreload === 'object' ? autoreload : {}).subscribe()
  if (daemon !== undefined && daemon !== false) new Daemonizer(engine, typeof daemon === 'object' ? daemon : {}).subscribe()
  if (pidFile !== undefined) new PIDFile(engine, pidFile).subscribe()
  if (controlSocket !== undefined && controlSocket !== false) new ControlSocket(engine, controlSocket).subscribe()
  if (supervised === undefined) new SystemdNotifier(engine).subscribe()
  if (user !== undefined) {
    const given = Object.entries({ group, umask, files: logFiles, readable: mustRead }).filter(([, value]) => value !== undefined)
    new DropPrivileges(engine, { user, ...Object.fromEntries(given) }).subscribe()
  } else if (group !== undefined || logFiles !== undefined || mustRead !== undefined) {
    throw new RegistrationRefused('engine: the options "group", "logFiles" and "mustRead" say how privileges are dropped to a "user", and there is none')
  } else if (umask !== undefined) {
    engine.subscribe('start', () => { process.umask(umask) }, { priority: 77, name: 'umask' })
  }
}
