import { integer, nearest, type Rule } from '@fastkeep/options'
import type { Engine } from '../engine.js'
import { ControlCommandUnknown, ControlRequestInvalid, NotSupervised } from './control-errors.js'
import type { ControlRequest } from './control-protocol.js'

/** What a control command may need besides the engine. */
export interface ControlContext {
  readonly engine: Engine
  /** Settles with the outcome of the exit, at its very end. */
  readonly exited: Promise<void>
}

interface ControlCommand {
  /** All of them must be given. */
  readonly arguments?: Readonly<Record<string, Rule>>
  run (context: ControlContext, request: ControlRequest): unknown
}

const MOST_WORKERS = 1_024

/** What can be asked of a running service. */
export const CONTROL_COMMANDS: Readonly<Record<string, ControlCommand>> = {
  status: { run: ({ engine }) => engine.status() },
  graceful: { run: ({ engine }) => engine.graceful() },
  reload: { run: ({ engine }) => engine.reload() },
  restart: { run: ({ engine }) => engine.restart() },
  stop: {
    run: ({ engine, exited }) => {
      // Its outcome is told at the end of the exit, when it is complete.
      engine.exit().catch(() => {})
      return exited
    },
  },
  scale: {
    arguments: { workers: integer(1, MOST_WORKERS, 'workers') },
    run: async ({ engine }, { workers }) => {
      if (engine.supervisor === undefined) throw new NotSupervised()
      await engine.supervisor.scale(workers as number)
      return { workers }
    },
  },
}

/**
 * The request that a client's line contains.
 *
 * @throws `FST_KEEP_ENGINE_CONTROL_REQUEST_INVALID`, `FST_KEEP_ENGINE_CONTROL_COMMAND_UNKNOWN`
 */
export function parseRequest (line: string): ControlRequest {
  const request = parseObject(line)
  const { command, ...given } = request
  if (typeof command !== 'string') throw new ControlRequestInvalid('it must have a "command"')
  const names = Object.keys(CONTROL_COMMANDS)
  if (!names.includes(command)) {
    const meant = nearest(command, names)
    throw new ControlCommandUnknown(printable(command), meant === undefined ? `; there are: ${names.join(', ')}` : `, did you mean "${meant}"?`)
  }
  const rules = CONTROL_COMMANDS[command]?.arguments ?? {}
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(rules, name)) throw new ControlRequestInvalid(`"${command}" takes no "${printable(name)}"`)
  }
  for (const [name, rule] of Object.entries(rules)) {
    if (!rule.accepts(given[name])) throw new ControlRequestInvalid(`"${name}" of "${command}" must be ${rule.expected}`)
  }
  return { ...given, command }
}

function parseObject (line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // The same refusal.
  }
  throw new ControlRequestInvalid('it must be one line with a JSON object')
}

/** It goes to a terminal. */
function printable (text: string): string {
  return text.slice(0, 80).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
