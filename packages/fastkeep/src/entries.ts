import { fileURLToPath } from 'node:url'

/*
 * Programs of this package that are run in processes of their own.
 */

/** Serves an app: the program of a worker. */
export const RUN_APP = fileURLToPath(new URL('run-app.js', import.meta.url))

/** Reads a configuration that is code, and prints it. */
export const READ_CONFIG = fileURLToPath(new URL('read-config.js', import.meta.url))

/** Loads an app and says what it is. */
export const CHECK_APP = fileURLToPath(new URL('check-app.js', import.meta.url))
