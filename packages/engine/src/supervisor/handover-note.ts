import type { HandedSocket } from '../server/inherited-sockets.js'

/** What a process tells its successor through the environment. All numbers but `parent` are descriptors. */
export interface HandoverNote {
  /** The pid of the process that wrote it: it is for that one's child alone. */
  readonly parent: number
  /** Over which the successor says that it is ready, and which ends when the parent does. */
  readonly channel: number
  /** The like of older processes that still drain. */
  readonly draining: readonly number[]
  readonly sockets: readonly HandedSocket[]
  /** Held by parts of the engine, e.g. the lock of the PID file. */
  readonly descriptors: Readonly<Record<string, number>>
}

/** The successor's answer, one line of JSON. */
export type HandoverAnswer = { readonly ready: number } | { readonly failed: string }

const VARIABLE = 'FASTKEEP_HANDOVER'

export function withNote (env: NodeJS.ProcessEnv, note: HandoverNote): NodeJS.ProcessEnv {
  return { ...env, [VARIABLE]: JSON.stringify(note) }
}

/** The note that this process was started with. It is removed: a child that inherits it is not who it was written for. */
export function takeNote (): HandoverNote | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined) return undefined
  Reflect.deleteProperty(process.env, VARIABLE)
  const note = parse(text)
  return note !== undefined && isChildOf(note.parent) ? note : undefined
}

function parse (text: string): HandoverNote | undefined {
  try {
    return (JSON.parse(text) ?? undefined) as HandoverNote | undefined
  } catch {
    return undefined
  }
}

/** Or of one that has ended since: then this process is the only one that has the sockets. */
function isChildOf (parent: number): boolean {
  if (process.ppid === parent) return true
  try {
    process.kill(parent, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
