// The program of a worker: serves the app that its arguments name, with flags and configuration as `fastkeep start` has
// them. What concerns the service as a whole is the supervisor's.
import { parseFlags, runToExit } from '@fastkeep/engine'
import { START_OPTIONS } from './command-options.js'
import { readConfiguration } from './configuration.js'
import { makeEngine } from './make-engine.js'

const OF_THE_SUPERVISOR = new Set(['workers', 'pidFile', 'controlSocket', 'daemon', 'autoreload'])

await runToExit(async () => {
  const { given, operands: [app] } = parseFlags(process.argv.slice(2), START_OPTIONS)
  const { options, effective } = await readConfiguration(given)
  const isOwn = (path: string): boolean => !OF_THE_SUPERVISOR.has(path.split('.')[0] as string)
  return await makeEngine(app as string, {
    options: Object.fromEntries(Object.entries(options).filter(([path]) => isOwn(path))),
    effective: effective.filter(({ path }) => isOwn(path)),
  })
})
