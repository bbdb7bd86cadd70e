import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ImportFailed } from './errors.js'

/**
 * Imports what has to be there before the app, e.g. `tsx`, as `node --import` does: found from the working directory.
 *
 * @throws `FST_KEEP_FASTKEEP_IMPORT_FAILED` (exit code 78)
 */
export async function importModules (names: readonly string[] = []): Promise<void> {
  const from = createRequire(join(process.cwd(), 'noop.js'))
  for (const name of names) {
    try {
      await import(pathToFileURL(from.resolve(name)).href)
    } catch (cause) {
      throw new ImportFailed(name, cause instanceof Error ? cause.message.split('\n')[0] : String(cause), { cause })
    }
  }
}
