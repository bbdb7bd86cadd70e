import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { SupervisorRefused } from '../errors.js'
import { pathFault } from './path-trust.js'

/** All of them together: they go to each worker in one message. */
const MOST_BYTES = 1_048_576

/**
 * Reads the files that only this process may read.
 *
 * @param isPrivileged the workers run as somebody else: then a path that this one could change is refused, or it would
 *   have a file of root's read by a link
 * @returns their content in base64 by absolute path
 * @throws `FST_KEEP_ENGINE_SUPERVISOR_REFUSED`
 */
export function readSecrets (paths: readonly string[], isPrivileged: boolean): Record<string, string> {
  let bytes = 0
  return Object.fromEntries(paths.map(path => {
    const fault = isPrivileged ? pathFault(path) : undefined
    if (fault !== undefined) throw new SupervisorRefused(`the secret ${path} is not read: ${fault}; let it belong to root, and take the others' right to write`)
    try {
      const content = readRegular(path)
      bytes += content.length
      if (bytes > MOST_BYTES) throw new Error(`all secrets together may have ${MOST_BYTES} bytes`)
      return [resolve(path), content.toString('base64')]
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
