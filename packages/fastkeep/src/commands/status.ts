import { readPIDFile, type ConfigTable } from '@fastkeep/engine'
import { statusOf } from '../ask-service.js'
import { flagValue, type Command } from '../command.js'
import { JSON_FLAG, SERVICE_OPTIONS } from '../command-options.js'
import { findService, pidOf, type ServiceAddress } from '../find-service.js'
import { statusPage } from '../status-page.js'

/** @see https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/iniscrptact.html */
const LSB = { RUNNING: 0, DEAD_WITH_PID_FILE: 1, STOPPED: 3, UNKNOWN: 4 } as const

interface Finding {
  readonly exitCode: number
  readonly message: string
}

const flags: ConfigTable = { ...JSON_FLAG, ...SERVICE_OPTIONS }

export const status: Command = {
  name: 'status',
  summary: 'show a service on one screen',
  details: 'The exit code is 0 when it runs, 1 when it has died and left its PID file, 3 when it is stopped, 4 when that cannot be told.',
  flags,
  run: async ({ flags, terminal }) => {
    const service = await findService(flags)
    const isJSON = flagValue(flags, 'json') === true
    const answer = service.controlSocket === undefined ? undefined : await statusOf(service.controlSocket).catch((error: unknown) => error as Error)
    if (answer !== undefined && !(answer instanceof Error)) {
      terminal.print(isJSON ? JSON.stringify(answer) : statusPage(answer, terminal))
      return LSB.RUNNING
    }
    const { exitCode, message } = withoutAnswer(service, answer)
    if (isJSON) terminal.print(JSON.stringify({ exitCode, message }))
    else terminal.print(message)
    return exitCode
  },
}

/** What the PID file says of a service that does not answer. */
function withoutAnswer ({ pidFile }: ServiceAddress, error: (Error & { code?: string }) | undefined): Finding {
  if (error !== undefined && error.code !== 'FST_KEEP_ENGINE_CONTROL_UNAVAILABLE') return { exitCode: LSB.UNKNOWN, message: `unknown: ${error.message}` }
  if (pidFile === undefined) return { exitCode: LSB.STOPPED, message: `stopped: ${error?.message}` }
  try {
    const file = readPIDFile(pidFile)
    if (file.state === 'absent') return { exitCode: LSB.STOPPED, message: `stopped: there is no PID file ${pidFile}` }
    if (file.state === 'stale') return { exitCode: LSB.DEAD_WITH_PID_FILE, message: `dead: the PID file ${pidFile} was left behind: ${file.reason}` }
    return pidOf(pidFile) === undefined
      ? { exitCode: LSB.UNKNOWN, message: `unknown: process ${file.pid} runs, and whether it is the one that wrote ${pidFile} cannot be told` }
      : { exitCode: LSB.RUNNING, message: `running: process ${file.pid}, without a control socket to tell more` }
  } catch (cause) {
    return { exitCode: LSB.UNKNOWN, message: `unknown: ${(cause as Error).message}` }
  }
}
