import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { PathNotTrusted } from './errors.js'

const GROUP_WRITE = 0o020
const OTHERS_WRITE = 0o002
const STICKY = 0o1000
const ROOT = 0
const MOST_LINKS = 40

/**
 * Refuses a file that somebody else than root could change or replace: itself, every directory above it, and all of the
 * same for what a symbolic link on the way names. A sticky directory that everybody may write to (`/tmp`) is no danger to
 * what root has in it.
 *
 * Only for a process of root: any other one could do no more than whoever changes the file.
 *
 * @throws `FST_KEEP_FASTKEEP_PATH_NOT_TRUSTED` (exit code 78)
 */
export function assertTrusted (file: string, links = 0): void {
  const path = resolve(file)
  const ancestors = ancestorsOf(path)
  for (const [index, ancestor] of ancestors.entries()) {
    const stats = lstatSync(ancestor, { throwIfNoEntry: false })
    // Whoever opens it says that it is missing, and in what words.
    if (stats === undefined) return
    const fault = faultOf(stats, index < ancestors.length - 1)
    if (fault !== undefined) throw new PathNotTrusted(`${ancestor}${ancestor === path ? '' : `, above ${path},`} ${fault}`)
    if (!stats.isSymbolicLink()) continue
    if (links > MOST_LINKS) throw new PathNotTrusted(`${path} has too many symbolic links`)
    const target = resolve(dirname(ancestor), readlinkSync(ancestor))
    return assertTrusted(resolve(target, path.slice(ancestor.length + 1)), links + 1)
  }
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
