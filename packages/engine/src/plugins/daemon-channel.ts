import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { keptSecrets } from '../supervisor/kept-secrets.js'

/** What a daemon tells its launcher over a socket pair, one JSON text a line: what it writes to standard error, then its pid once it is ready. */
export type DaemonMessage = { readonly stderr: string } | { readonly ready: number }

/** What a launcher tells its daemon through {@link NOTE}. */
export interface LaunchNote {
  /** The descriptor of the daemon's end of the channel. */
  readonly channel: number
  /** From which it reads what was typed on the launcher's terminal. */
  readonly secrets: number
  /** Variables that the shell between the two would drop, for their names are not those of shell variables. */
  readonly environment: Readonly<Record<string, string>>
}

/** The variable with the {@link LaunchNote}. */
export const NOTE = 'FASTKEEP_DAEMON_NOTE'

/** The variable with the pid of the process that the note is for, so that no child of a daemon takes itself for the daemon. */
export const NOTE_PID = 'FASTKEEP_DAEMON_PID'

/** The URL of this module as a daemon imports it before any other one; what is exported here may lie in a chunk. */
export const PRELOAD = new URL('daemon-channel.js', import.meta.url).href

/** ms between SIGTERM and SIGKILL for a daemon that has to end before it is ready. */
export const TERMINATION_GRACE = 3000

/** The daemon's end of the channel, open from the first import of this module until the daemon is ready. */
export class LauncherChannel {
  readonly #descriptor: number
  readonly #socket: Socket
  readonly #stopForwarding: () => void
  #isOpen = true

  constructor (descriptor: number, socket: Socket) {
    this.#descriptor = descriptor
    this.#socket = socket.on('error', () => {}).once('close', () => this.#launcherGone()).unref().resume()
    this.#stopForwarding = forwardErrors(text => this.#send({ stderr: text }))
  }

  /** Tells the launcher that the daemon is ready and closes the channel; `false` if the launcher has ended. */
  ready (): boolean {
    const isHeard = this.#send({ ready: process.pid })
    this.#close()
    return isHeard
  }

  #send (message: DaemonMessage): boolean {
    if (!this.#isOpen) return false
    try {
      // At once, not through the event loop: the next thing that happens may be the end of the process.
      writeFully(this.#descriptor, `${JSON.stringify(message)}\n`)
      return true
    } catch {
      return false
    }
  }

  #close (): void {
    this.#isOpen = false
    this.#stopForwarding()
    this.#socket.destroy()
  }

  /** Does what the launcher would have done, were it ended by anything else than SIGKILL. */
  #launcherGone (): void {
    if (!this.#isOpen) return
    this.#close()
    process.kill(0, 'SIGTERM')
    setTimeout(() => process.kill(0, 'SIGKILL'), TERMINATION_GRACE).unref()
  }
}

interface DaemonState {
  /** In a daemon: its end of the channel. */
  readonly channel: LauncherChannel | undefined
  /** The launch that this process has asked for. */
  launch?: Promise<never> | undefined
  /** In a daemon: its launcher has been told, which is done once in its life. */
  isReady?: boolean
}

/** What the process knows of its being a daemon; one for all copies of this module, for a process daemonizes but once. */
export const daemonState = sharedState()

function sharedState (): DaemonState {
  const key = Symbol.for('@fastkeep/engine:daemon')
  const holder = globalThis as { [key: symbol]: DaemonState | undefined }
  const state = holder[key] ?? { channel: joinLauncher() }
  holder[key] = state
  return state
}

function joinLauncher (): LauncherChannel | undefined {
  const { [NOTE]: note, [NOTE_PID]: pid } = process.env
  if (note === undefined || !process.getBuiltinModule('node:worker_threads').isMainThread) return undefined
  delete process.env[NOTE]
  delete process.env[NOTE_PID]
  if (pid !== String(process.pid)) return undefined
  const { channel, secrets, environment } = JSON.parse(note) as LaunchNote
  const socket = openSocket(channel)
  if (socket === undefined) return undefined
  keptSecrets.take(secrets)
  Object.assign(process.env, environment)
  // The launcher's addition is not the program's: its workers would inherit it.
  process.execArgv = process.execArgv.filter(flag => flag !== `--import=${PRELOAD}`)
  return new LauncherChannel(channel, socket)
}

/** `undefined` if the descriptor is no socket. Not by fstat(2): on Node 20 the CommonJS loader trips over what it leaves behind. */
function openSocket (fd: number): Socket | undefined {
  try {
    return new Socket({ fd, readable: true, writable: false })
  } catch {
    return undefined
  }
}

/** Gives a copy of what is written to standard error and of every uncaught error, which Node prints without JavaScript. */
function forwardErrors (forward: (text: string) => void): () => void {
  const write = process.stderr.write
  let isForwarding = true
  const forwardingWrite = function (this: typeof process.stderr, ...args: unknown[]): boolean {
    const [chunk] = args
    if (isForwarding) forward(typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString())
    return Reflect.apply(write, this, args) as boolean
  }
  const onUncaught = (error: unknown): void => forward(`${process.getBuiltinModule('node:util').inspect(error)}\n`)
  process.stderr.write = forwardingWrite
  process.on('uncaughtExceptionMonitor', onUncaught)
  return () => {
    isForwarding = false
    process.off('uncaughtExceptionMonitor', onUncaught)
    // Whoever has wrapped it since still calls ours.
    if (process.stderr.write === forwardingWrite) process.stderr.write = write
  }
}

/** The other end reads while this one waits, so that the wait is short. */
function writeFully (descriptor: number, text: string): void {
  let bytes = Buffer.from(text)
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(never, 0, 0, 1)
    }
  }
}
