import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'

const GROUP_WRITE = 0o020
const OTHERS_WRITE = 0o002
const STICKY = 0o1000
const ROOT = 0
const MOST_LINKS = 40

/**
 * What lets somebody else than root change or replace a file: itself, a directory above it, and all of the same for what
 * a symbolic link on the way names. A sticky directory that everybody may write to (`/tmp`) is no danger to what root has
 * in it.
 *
 * @returns `undefined` if only root can, or if there is no such file: whoever opens it says so
 * @example pathFault('/srv/shop/app.js') // '/srv/shop, above /srv/shop/app.js, belongs to uid 1000'
 */
export function pathFault (file: string, links = 0): string | undefined {
  const path = resolve(file)
  for (const ancestor of ancestorsOf(path)) {
    const stats = lstatSync(ancestor, { throwIfNoEntry: false })
    if (stats === undefined) return undefined
    const fault = faultOf(stats, ancestor !== path)
    if (fault !== undefined) return `${ancestor}${ancestor === path ? '' : `, above ${path},`} ${fault}`
    if (!stats.isSymbolicLink()) continue
    if (links > MOST_LINKS) return `${path} has too many symbolic links`
    const target = resolve(dirname(ancestor), readlinkSync(ancestor))
    return pathFault(resolve(target, path.slice(ancestor.length + 1)), links + 1)
  }
  return undefined
}

/** From the root of the file system down to the path itself. */
function ancestorsOf (path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [...ancestorsOf(above), path]
}

function faultOf (stats: Stats, isAbove: boolean): string | undefined {
  if (stats.uid !== ROOT) return `belongs to uid ${stats.uid}`
  if (stats.isSymbolicLink() || (isAbove && (stats.mode & STICKY) !== 0)) return undefined
  if ((stats.mode & OTHERS_WRITE) !== 0) return 'can be written to by everybody'
  return (stats.mode & GROUP_WRITE) !== 0 && stats.gid !== ROOT ? `can be written to by the group ${stats.gid}` : undefined
}
