import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const CONNECTIONS = 32

/** Requests per second of GETs with one cookie over 32 connections. Fails if any answer is no 200. */
export async function wrk (port: number, path: string, cookie: string, seconds: number): Promise<number> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, ...cookie === '' ? [] : ['-H', `cookie: ${cookie}`], `http://127.0.0.1:${port}${path}`]
  const { stdout } = await promisify(execFile)('wrk', args)
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]
  if (perSecond === undefined || /Non-2xx|(?:connect|read|write) [1-9]/.test(stdout)) throw new Error(`wrk on ${path}:\n${stdout}`)
  return Number(perSecond)
}
