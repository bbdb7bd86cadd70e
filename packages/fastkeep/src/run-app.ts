// The program of a worker: serves the app that its arguments name, with flags and configuration as `fastkeep start` has
// them. What concerns the service as a whole the engine leaves to the supervisor.
import { parseFlags, runToExit } from '@fastkeep/engine'
import { START_OPTIONS } from './command-options.js'
import { readConfiguration } from './configuration.js'
import { makeEngine } from './make-engine.js'

await runToExit(async () => {
  const { given, operands: [app] } = parseFlags(process.argv.slice(2), START_OPTIONS)
  return await makeEngine(app as string, await readConfiguration(given))
})
