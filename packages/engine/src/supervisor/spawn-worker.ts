import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { PassThrough, type Duplex } from 'node:stream'
import { ExitCode } from '../exit-codes.js'
import type { Target } from '../plugins/become-user.js'
import { sameEnvironment } from '../plugins/same-program.js'
import type { ListeningHandle } from '../server/accept-pause.js'
import type { HandedSocket } from '../server/inherited-sockets.js'
import { withNote } from './environment-note.js'
import { handSecrets, type SecretsBundle } from './kept-secrets.js'
import { startGently } from './start-priority.js'
import { WORKER_NOTE, type WorkerNote } from './worker-messages.js'

/** What every worker is started with. */
export interface WorkerStart {
  /** The file of the program. */
  readonly program: string
  readonly args: readonly string[]
  /** Flags of Node. */
  readonly execArgv: readonly string[]
  /** Read anew for each worker: they may have changed. */
  readonly sockets: readonly HandedSocket[]
  /** The same sockets, to be sent to a worker that has paused; none where load is not balanced. */
  readonly handles: readonly ListeningHandle[]
  readonly secrets: SecretsBundle
  readonly target: Target | undefined
  readonly umask: number | undefined
  /** ms within which it must serve. */
  readonly timeout: number
  /** ms of a blocked event loop after which the worker tells its stack. */
  readonly toldAfter: number
  /** Others serve in the meantime: it is not to take the processors from them. */
  readonly isGentle: boolean
}

export interface WorkerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const BECOME_WORKER = new URL('become-worker.js', import.meta.url).href

export function spawnWorker (slot: number, { program, args, execArgv, sockets, handles, secrets, target, umask, toldAfter, isGentle }: WorkerStart): { child: ChildProcess, channel: Duplex } {
  const stdio: Array<number | 'ignore' | 'inherit' | 'pipe'> = ['ignore', 'inherit', 'inherit']
  const pass = (what: number | 'pipe'): number => stdio.push(what) - 1
  const channel = pass('pipe')
  const secretsPipe = pass('pipe')
  const note: WorkerNote = {
    parent: process.pid,
    channel,
    secrets: secretsPipe,
    slot,
    sockets: sockets.map(socket => ({ ...socket, fd: pass(socket.fd) })),
    toldAfter,
    ...target === undefined ? {} : { target },
    ...umask === undefined ? {} : { umask },
  }
  const preload = target === undefined && umask === undefined ? [] : [`--import=${BECOME_WORKER}`]
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(process.execPath, [...preload, ...execArgv, program, ...args], {
    env: withNote(sameEnvironment(process.env), WORKER_NOTE, note),
    stdio: handles.length === 0 ? stdio : [...stdio, 'ipc'],
  })
  if (isGentle && child.pid !== undefined) startGently(child.pid)
  handSecrets(child, secretsPipe, secrets)
  // Of one that the system did not start, e.g. for want of descriptors, Node leaves the streams out.
  return { child, channel: child.pid === undefined ? new PassThrough() : child.stdio[channel] as Socket }
}

export async function endOf (child: ChildProcess): Promise<WorkerEnd> {
  try {
    const [code, signal] = await once(child, 'exit') as [number | null, NodeJS.Signals | null]
    return { code, signal }
  } catch {
    // The system did not start it.
    return { code: ExitCode.OS, signal: null }
  }
}
