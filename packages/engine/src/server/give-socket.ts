import { chownSync, closeSync, constants, fstatSync, openSync } from 'node:fs'
import { AddressRefused } from '../errors.js'

/** Of Linux, not in `node:fs`: a descriptor that only says which file is meant. */
const O_PATH = 0o10000000

/**
 * Gives a unix socket to another user. Not by its name, under which the owner of the directory could put a link to a
 * file of root's just then, but by a descriptor of what was looked at.
 *
 * @throws `FST_KEEP_ENGINE_ADDRESS_REFUSED` if it is not a socket of this process's user, or of that one, any more
 * @see https://man7.org/linux/man-pages/man2/open.2.html
 */
export function giveSocket (path: string, uid: number, gid: number): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
  try {
    const stats = fstatSync(fd)
    // It is the user's already where a predecessor has given it away.
    const isOurs = stats.uid === process.geteuid?.() || stats.uid === uid
    if (!stats.isSocket() || stats.nlink !== 1 || !isOurs) {
      throw new AddressRefused(`unix:${path}`, 'somebody has put something else in the place of the socket; let its directory belong to root')
    }
    chownSync(`/proc/self/fd/${fd}`, uid, gid)
  } finally {
    closeSync(fd)
  }
}
