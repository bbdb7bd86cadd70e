import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { RestartFailed } from '../errors.js'
import { ExitCode, exitCodeAfter } from '../exit-codes.js'
import { sameEnvironment, sameProgram } from '../plugins/same-program.js'
import type { HandedSocket } from '../server/inherited-sockets.js'
import { notifyVariables } from '../systemd/notify-environment.js'
import { withNote } from './environment-note.js'
import { HANDOVER_NOTE, type HandoverAnswer, type HandoverNote } from './handover-note.js'
import { handSecrets, keptSecrets } from './kept-secrets.js'
import { serveFully, servingPriority, startGently } from './start-priority.js'

export interface SuccessorOptions {
  readonly sockets: readonly HandedSocket[]
  readonly descriptors: Readonly<Record<string, number>>
  /** Descriptors that end with older processes which still drain. */
  readonly draining: readonly number[]
  /** ms within which it must be ready. */
  readonly timeout: number
  /** Calls it off. */
  readonly signal: AbortSignal
}

/** Relative paths of the program count from here, wherever the process has gone since. */
const startDirectory = process.cwd()

/** ms between SIGTERM and SIGKILL for a successor that is not wanted any more. */
const TERMINATION_GRACE = 3_000

/**
 * Starts the same program once more with the listening sockets of this one, and resolves with its pid when it serves.
 * One that fails, or is not ready in time, is ended; then nothing has changed.
 *
 * @throws `FST_KEEP_ENGINE_RESTART_FAILED`
 */
export async function startSuccessor (options: SuccessorOptions): Promise<number> {
  const { child, channel } = await spawnSuccessor(options)
  const settled = new AbortController()
  try {
    const pid = await Promise.race([
      answerOf(channel, settled.signal),
      endOf(child, settled.signal),
      lapse(options.timeout, settled.signal),
      callOff(options.signal, settled.signal),
    ])
    serveFully(pid)
    return pid
  } catch (error) {
    await end(child)
    throw error
  } finally {
    settled.abort()
  }
}

async function spawnSuccessor ({ sockets, descriptors, draining }: SuccessorOptions): Promise<{ child: ChildProcess, channel: Readable }> {
  const stdio: Array<number | 'inherit' | 'pipe'> = ['inherit', 'inherit', 'inherit']
  const pass = (what: number | 'pipe'): number => stdio.push(what) - 1
  const handed = sockets.map(socket => ({ ...socket, fd: pass(socket.fd) }))
  const channel = pass('pipe')
  const secrets = pass('pipe')
  const note: HandoverNote = {
    parent: process.pid,
    channel,
    secrets,
    sockets: handed,
    draining: draining.map(pass),
    descriptors: Object.fromEntries(Object.entries(descriptors).map(([name, fd]) => [name, pass(fd)])),
    priority: servingPriority,
  }
  const { isSea } = process.getBuiltinModule('node:sea')
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(process.execPath, sameProgram({ ...process, isSea: isSea() }), {
    cwd: startDirectory,
    env: withNote({ ...sameEnvironment(process.env), ...notifyVariables() }, HANDOVER_NOTE, note),
    stdio,
  })
  handSecrets(child, secrets, keptSecrets.bundle())
  // Of one that the system does not start, e.g. for want of descriptors, Node tells in the next turn.
  const failure = once(child, 'error').then(([error]) => error as Error)
  failure.catch(() => {})
  if (child.pid === undefined) throw new RestartFailed(`the successor could not be started: ${(await failure).message}`)
  startGently(child.pid)
  child.unref()
  return { child, channel: child.stdio[channel] as Readable }
}

/** The channel stays open after the answer: its end tells the successor that this process has ended. */
async function answerOf (channel: Readable & { unref?: () => void }, settled: AbortSignal): Promise<number> {
  const { createInterface } = process.getBuiltinModule('node:readline')
  const [line] = await once(createInterface({ input: channel }), 'line', { signal: settled }) as [string]
  const answer = JSON.parse(line) as HandoverAnswer
  if ('failed' in answer) throw failure(`the successor says: ${answer.failed}`, answer.exitCode)
  channel.resume()
  channel.unref?.()
  return answer.ready
}

async function endOf (child: ChildProcess, settled: AbortSignal): Promise<never> {
  const [code, signal] = await once(child, 'exit', { signal: settled }).catch((error: Error) => {
    throw new RestartFailed(`the successor could not be started: ${error.message}`, { cause: error })
  }) as [number | null, NodeJS.Signals | null]
  throw failure(`the successor ended with ${signal ?? `code ${code}`} before it was ready`, code)
}

/** Whoever asked for the restart hears by the exit code what the successor's own would be: 78 is a mistake to mend, 75 is not. */
function failure (why: string, exitCode: number | null): Error {
  return Object.assign(new RestartFailed(why), { exitCode: exitCodeAfter({ exitCode }) })
}

function lapse (timeout: number, settled: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const timer = setTimeout(() => reject(failure(`the successor was not ready within ${timeout} ms`, ExitCode.NOT_READY)), timeout)
    settled.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}

async function callOff (signal: AbortSignal, settled: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort', { signal: settled })
  throw new RestartFailed('it was called off by a stop')
}

async function end (child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), TERMINATION_GRACE)
  await ended
  clearTimeout(timer)
}
