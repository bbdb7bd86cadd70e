import { askPassphrases, launchDaemon, runToExit } from '@fastkeep/engine'
import type { Command } from '../command.js'
import { START_OPTIONS } from '../command-options.js'
import { readConfiguration } from '../configuration.js'
import { UsageError } from '../errors.js'
import { makeEngine } from '../make-engine.js'
import { makeSupervisor } from '../make-supervisor.js'
import { assertTrusted } from '../trusted-paths.js'

/** What one process could not do, and would pass over. */
const OF_WORKERS = ['listen', 'readyTimeout', 'blockedAfter', 'balance', 'recycle'] as const

export const start: Command = {
  name: 'start',
  summary: 'serve an app, in the foreground or as a daemon',
  details: `The app is a module that exports a plugin and perhaps "options", as fastify-cli takes it, a Fastify instance, or a
function that makes one. Flags beat FASTKEEP_* in the environment, which beats the configuration file.

  fastkeep start app.js --port 8080
  fastkeep start app.js --port 8080 --workers auto --pid-file app.pid --daemon --log app.log
  fastkeep start app.ts --import tsx --watch`,
  operands: [{ name: 'app', completes: 'files' }],
  flags: START_OPTIONS,
  // All of it inside: whoever started this process in the place of another one hears what was wrong.
  run: async ({ flags, operands: [file] }) => await runToExit(async () => {
    const configuration = await readConfiguration(flags)
    const app = file as string
    if (process.geteuid?.() === 0) assertTrusted(app)
    const { daemon, workers, askPassphrase = [] } = configuration.options
    const ofWorkers = OF_WORKERS.find(name => configuration.options[name] !== undefined)
    if (workers === undefined && ofWorkers !== undefined) throw new UsageError(`"${ofWorkers}" is for workers: give --workers too, 1 is enough`)
    askPassphrases(askPassphrase)
    // Before anything of the app is loaded: in the launcher nothing else happens.
    if (daemon !== undefined && daemon !== false) await launchDaemon(daemon === true ? {} : daemon)
    return workers === undefined ? await makeEngine(app, configuration) : makeSupervisor(app, configuration, flags)
  }),
}
