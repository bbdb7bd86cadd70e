import { ExitCode } from '@fastkeep/engine'
import { ask, socketOf, statusOf } from '../ask-service.js'
import type { Command } from '../command.js'
import { SERVICE_OPTIONS } from '../command-options.js'

export const reload = replacement('reload', 'run the present code: new workers, or a successor of a single process; no request is lost')

export const restart = replacement('restart', 'as reload, with the supervisor of the workers replaced as well: for a new version of fastkeep or Node')

/** Answers when the new processes serve; a failure leaves the old ones as they are. */
function replacement (name: 'reload' | 'restart', summary: string): Command {
  return {
    name,
    summary,
    details: 'Waits until the new processes serve. When they do not come to, the old ones go on, and the exit code is that of\nwhat failed: 78 for a configuration, 70 for an app that throws, 75 for one that takes too long.',
    flags: SERVICE_OPTIONS,
    run: async ({ flags, terminal }) => {
      const socket = await socketOf(flags)
      const before = await statusOf(socket)
      await ask(socket, { command: name }, terminal)
      const { pid } = await statusOf(socket)
      terminal.tell(pid === before.pid ? `${name}ed, still process ${pid}` : `${name}ed: process ${before.pid} drains, process ${pid} serves`)
      return ExitCode.OK
    },
  }
}
