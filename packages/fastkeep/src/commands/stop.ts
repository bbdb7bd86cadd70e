import { ExitCode } from '@fastkeep/engine'
import { ask } from '../ask-service.js'
import type { Command } from '../command.js'
import { SERVICE_OPTIONS } from '../command-options.js'
import { NotRunning, StillRunning } from '../errors.js'
import { findService, hasEnded, pidOf } from '../find-service.js'
import type { Terminal } from '../terminal.js'

/** ms for a process that can only be sent a signal: longer than the drain's deadline is unless it was changed. */
const SIGNAL_PATIENCE = 60_000

/** ms for a process that has said that it stopped. */
const END_PATIENCE = 5_000

/** What says that nobody answers there, or that he ended before he could. */
const UNANSWERED = new Set(['FST_KEEP_ENGINE_CONTROL_UNAVAILABLE', 'FST_KEEP_ENGINE_CONTROL_BROKEN'])

export const stop: Command = {
  name: 'stop',
  summary: 'finish what is under way, then end the service; waits for that',
  details: `The exit code is 0 when all went well, 70 when requests were cut or something failed, 69 when nothing runs. Without a
control socket the process that holds the PID file gets SIGTERM.`,
  flags: SERVICE_OPTIONS,
  run: async ({ flags, terminal }) => {
    const { controlSocket, pidFile } = await findService(flags)
    const pid = pidOf(pidFile)
    if (controlSocket !== undefined) {
      try {
        await ask(controlSocket, { command: 'stop' }, terminal)
        if (pid !== undefined && !await hasEnded(pid, END_PATIENCE)) throw new StillRunning(`the service has stopped, and its process ${pid} has not ended`)
        terminal.tell('stopped')
        return ExitCode.OK
      } catch (error) {
        if (!UNANSWERED.has((error as { code?: string }).code ?? '') || pid === undefined) throw error
      }
    }
    if (pid === undefined) throw new NotRunning(`no instance runs with the PID file ${pidFile ?? 'that was not given'}`)
    await stopBySignal(pid, terminal)
    return ExitCode.OK
  },
}

async function stopBySignal (pid: number, terminal: Terminal): Promise<void> {
  // It may have ended since: without an answer because of that.
  if (await hasEnded(pid, 0)) return terminal.tell('stopped; how that went, its log says')
  process.kill(pid, 'SIGTERM')
  terminal.progress(`stop: process ${pid} has got SIGTERM`)
  if (!await hasEnded(pid, SIGNAL_PATIENCE)) throw new StillRunning(`process ${pid} has not ended ${SIGNAL_PATIENCE / 1000} s after SIGTERM`)
  terminal.tell('stopped by a signal: whether requests were cut, its log says')
}
