import { becomeTarget } from '../plugins/become-user.js'
import { readNote } from './environment-note.js'
import { WORKER_NOTE, type WorkerNote } from './worker-messages.js'

/*
 * Imported by Node before anything of the program: a supervisor that has privileges starts its workers with it, so that
 * no code of the service ever runs with them.
 */

const note = readNote<WorkerNote>(WORKER_NOTE)

try {
  if (note?.umask !== undefined) process.umask(note.umask)
  if (note?.target !== undefined) becomeTarget(note.target)
} catch (error) {
  const { message, exitCode = 77 } = error as Error & { exitCode?: number }
  process.stderr.write(`fastkeep: cannot start: ${message}\n`)
  process.exit(exitCode)
}
