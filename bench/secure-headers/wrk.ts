import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const CONNECTIONS = 32

export interface Load {
  readonly requests: number
  readonly perSecond: number
}

/**
 * Loads a server with 32 connections.
 *
 * @throws when an answer was lost or was not a 2xx
 */
export async function wrk (url: string, seconds: number): Promise<Load> {
  const { stdout } = await run('wrk', ['--threads', '1', '--connections', String(CONNECTIONS), '--duration', `${seconds}s`, url])
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`requests failed:\n${stdout}`)
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
  }
}

export async function hasWrk (): Promise<boolean> {
  // It has no option that does nothing; without arguments it tells its usage and fails.
  return await run('wrk', []).then(() => true, (error: NodeJS.ErrnoException) => error.code !== 'ENOENT')
}
