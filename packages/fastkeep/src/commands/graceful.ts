import { ExitCode } from '@fastkeep/engine'
import { ask, socketOf } from '../ask-service.js'
import type { Command } from '../command.js'
import { SERVICE_OPTIONS } from '../command-options.js'

export const graceful: Command = {
  name: 'graceful',
  summary: 'have the same processes read certificates, keys and configuration again, and reopen their log files',
  flags: SERVICE_OPTIONS,
  run: async ({ flags, terminal }) => {
    await ask(await socketOf(flags), { command: 'graceful' }, terminal)
    return ExitCode.OK
  },
}
