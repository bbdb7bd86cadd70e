// The same daemon, launched before the rest of the program is loaded.
import { launchDaemon } from '@fastkeep/engine/daemon'

if (process.env.DAEMON === 'true') await launchDaemon()
const { runToExit, Daemonizer } = await import('@fastkeep/engine')
const { makeEngine } = await import('./daemon-app.js')
const engine = await makeEngine()
if (process.env.DAEMON === 'true') new Daemonizer(engine).subscribe()
engine.subscribe('ready', () => console.log('ready'), { priority: 99 })
await runToExit(engine)
