import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { defaultControlSocket, isHeldBy, readPIDFile, resolveConfig, type Given } from '@fastkeep/engine'
import { START_OPTIONS, type CommandOptions } from './command-options.js'
import { readConfiguration } from './configuration.js'
import { UsageError } from './errors.js'

/** Where a running service is to be found; one of the two at least. */
export interface ServiceAddress {
  readonly pidFile: string | undefined
  readonly controlSocket: string | undefined
}

/**
 * By flags, environment, or the configuration file of the working directory.
 *
 * @throws `FST_KEEP_FASTKEEP_USAGE` (exit code 64) where none of them says it; what {@link readConfiguration} does
 */
export async function findService (flags: readonly Given[]): Promise<ServiceAddress> {
  const { options, file } = await addressFrom(flags)
  const { pidFile, controlSocket = defaultControlSocket(pidFile) } = options
  if (pidFile === undefined && typeof controlSocket !== 'string') {
    throw new UsageError(`nothing says which service is meant: give --pid-file or --control-socket, set FASTKEEP_PID_FILE, or have "pidFile" in ${file ?? 'a fastkeep.config.json of this directory'}`)
  }
  return {
    pidFile: pidFile === undefined ? undefined : resolve(pidFile),
    controlSocket: typeof controlSocket === 'string' ? resolve(controlSocket) : undefined,
  }
}

/** A service can be ended, however wrong the file is by now that it was started with. */
async function addressFrom (flags: readonly Given[]): Promise<{ options: CommandOptions, file: string | undefined }> {
  const isSaid = ['pidFile', 'controlSocket'].every(name => flags.some(({ path }) => path === name))
  if (!isSaid) return await readConfiguration(flags)
  return { ...resolveConfig<CommandOptions>({ code: {}, flags }, START_OPTIONS), file: undefined }
}

/** The pid of the instance that holds the PID file, proven; `undefined` if there is none. */
export function pidOf (pidFile: string | undefined): number | undefined {
  if (pidFile === undefined) return undefined
  const file = readPIDFile(pidFile)
  return file.state === 'running' && isHeldBy(pidFile, file.pid) ? file.pid : undefined
}

/**
 * Waits until a process has ended. Nobody but its parent is told of that, so it is looked at.
 *
 * @returns whether it has, within so many ms
 */
export async function hasEnded (pid: number, patience: number): Promise<boolean> {
  const deadline = performance.now() + patience
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false
    await delay(LOOK_INTERVAL)
  }
  return true
}

/** ms */
const LOOK_INTERVAL = 20

/** A process that has ended, and whose parent has not asked for it yet, counts for nothing. */
function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function isZombie (pid: number): boolean {
  try {
    return /^.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
