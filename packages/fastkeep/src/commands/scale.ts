import { ExitCode } from '@fastkeep/engine'
import { ask, socketOf } from '../ask-service.js'
import type { Command } from '../command.js'
import { SERVICE_OPTIONS } from '../command-options.js'
import { UsageError } from '../errors.js'

export const scale: Command = {
  name: 'scale',
  summary: 'change the number of workers of a running service',
  operands: [{ name: 'workers' }],
  flags: SERVICE_OPTIONS,
  run: async ({ flags, operands: [count = ''], terminal }) => {
    if (!/^[1-9]\d{0,3}$/.test(count)) throw new UsageError(`scale: the number of workers must be a whole number from 1 on, got ${JSON.stringify(count)}`)
    await ask(await socketOf(flags), { command: 'scale', workers: Number(count) }, terminal)
    terminal.tell(`${count} workers`)
    return ExitCode.OK
  },
}
