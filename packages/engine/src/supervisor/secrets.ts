import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { SupervisorRefused } from '../errors.js'

const STICKY = 0o1000
const WRITABLE_BY_OTHERS = 0o022

/**
 * Reads the files that only this process may read.
 *
 * @param isPrivileged the workers run as somebody else: then a path that this one could change is refused, or it would
 *   have a file of root's read by a link
 * @returns their content in base64 by absolute path
 * @throws `FST_KEEP_ENGINE_SUPERVISOR_REFUSED`
 */
export function readSecrets (paths: readonly string[], isPrivileged: boolean): Record<string, string> {
  return Object.fromEntries(paths.map(path => {
    try {
      if (isPrivileged) assertOnlyOurs(path)
      return [resolve(path), readRegular(path).toString('base64')]
    } catch (cause) {
      throw new SupervisorRefused(`the secret ${path} cannot be read: ${(cause as Error).message}`, { cause })
    }
  }))
}

function readRegular (path: string): Buffer {
  // A FIFO would wait for its writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(fd).isFile()) throw new Error('it is not a regular file')
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Every directory on the way, by its name and by what links make of it, is root's or this user's to change alone. */
function assertOnlyOurs (path: string): void {
  const real = realpathSync(path)
  for (const component of new Set([...wayTo(dirname(resolve(path))), ...wayTo(real)])) {
    const { uid, mode } = lstatSync(realpathSync(component))
    const isOurs = uid === 0 || uid === process.geteuid?.()
    const isOthers = (mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0
    if (!isOurs || isOthers) throw new Error(`${component} can be changed by other users; let it belong to root, and take the others' right to write`)
  }
}

/** `/a/b`: `/`, `/a`, `/a/b`. */
function wayTo (path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [path] : [...wayTo(parent), path]
}
