// The same daemon, launched before the rest of the program is loaded.
import { launchDaemon, runToExit, Daemonizer } from '@fastkeep/engine'

if (process.env.DAEMON === 'true') await launchDaemon()
const { makeEngine } = await import('./daemon-app.js')
const engine = await makeEngine()
if (process.env.DAEMON === 'true') new Daemonizer(engine).subscribe()
engine.subscribe('ready', () => console.log('ready'), { priority: 99 })
await runToExit(engine)
