import { fileURLToPath } from 'node:url'

/*
 * Programs of this package that are run in processes of their own; beside this file also in a bundle, since package.json
 * exports them.
 */

/** Serves an app: the program of a worker. */
export const RUN_APP = entry('run-app')

/** Reads a configuration that is code, and prints it. */
export const READ_CONFIG = entry('read-config')

/** Loads an app and says what it is. */
export const CHECK_APP = entry('check-app')

function entry (name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}
