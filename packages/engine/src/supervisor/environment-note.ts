/** Something that a process tells a child of its through the environment. */
export interface EnvironmentNote {
  /** The pid of the process that wrote it: it is for that one's child alone. */
  readonly parent: number
}

export function withNote (env: NodeJS.ProcessEnv, variable: string, note: EnvironmentNote): NodeJS.ProcessEnv {
  return { ...env, [variable]: JSON.stringify(note) }
}

/** The note that this process was started with. It is removed: a child that inherits it is not who it was written for. */
export function takeNote<Note extends EnvironmentNote> (variable: string): Note | undefined {
  const note = readNote<Note>(variable)
  Reflect.deleteProperty(process.env, variable)
  return note
}

/** The same for code that runs before those who take it. */
export function readNote<Note extends EnvironmentNote> (variable: string): Note | undefined {
  const text = process.env[variable]
  const note = text === undefined ? undefined : parse<Note>(text)
  return note !== undefined && isChildOf(note.parent) ? note : undefined
}

function parse<Note> (text: string): Note | undefined {
  try {
    return (JSON.parse(text) ?? undefined) as Note | undefined
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
