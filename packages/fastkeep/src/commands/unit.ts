import { ExitCode } from '@fastkeep/engine'
import type { Command } from '../command.js'
import { START_OPTIONS } from '../command-options.js'
import { readConfiguration } from '../configuration.js'
import { systemdUnit } from '../systemd-unit.js'

export const unit: Command = {
  name: 'unit',
  summary: 'print a hardened systemd unit that starts an app as "start" would with the same flags',
  details: 'For example: fastkeep unit app.js --port 443 --user shop > /etc/systemd/system/shop.service',
  operands: [{ name: 'app', completes: 'files' }],
  flags: START_OPTIONS,
  run: async ({ flags, operands: [app], terminal }) => {
    const configuration = await readConfiguration(flags)
    terminal.print(systemdUnit(app as string, configuration, {
      node: process.execPath,
      execArgv: process.execArgv,
      program: process.argv[1] as string,
      directory: process.cwd(),
    }))
    return ExitCode.OK
  },
}
