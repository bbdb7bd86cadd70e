import { pathFault } from '@fastkeep/engine'
import { PathNotTrusted } from './errors.js'

/**
 * Refuses a file that somebody else than root could change or replace. Only for a process of root: any other one could do
 * no more than whoever changes the file.
 *
 * @throws `FST_KEEP_FASTKEEP_PATH_NOT_TRUSTED` (exit code 78)
 */
export function assertTrusted (file: string): void {
  const fault = pathFault(file)
  if (fault !== undefined) throw new PathNotTrusted(fault)
}
