// Ours: the supervisor of the service.
import { fileURLToPath } from 'node:url'
import { ControlSocket, CrashPolicy, Engine, runToExit, SignalHandler, Supervisor } from '@fastkeep/engine'

const engine = new Engine({ restartTimeout: 120_000 })
const supervisor = new Supervisor(engine, {
  program: fileURLToPath(new URL('service.js', import.meta.url)),
  workers: Number(process.env.WORKERS),
}).subscribe()
new SignalHandler(engine, { ...supervisor.signals, SIGHUP: 'reload' }).subscribe()
new CrashPolicy(engine).subscribe()
new ControlSocket(engine, process.env.CONTROL_SOCKET).subscribe()
engine.subscribe('log', ({ message, level, code = '' }) => console.log(`${level} ${code} ${message}`))
engine.subscribe('ready', () => { setImmediate(() => console.log(`supervising as ${process.pid}`)) }, { priority: 99 })
await runToExit(engine)
