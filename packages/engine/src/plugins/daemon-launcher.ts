import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { constants as os } from 'node:os'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ExitCode } from '../exit-codes.js'
import { NOTE, PRELOAD, TERMINATION_GRACE, type DaemonMessage, type LaunchNote } from './daemon-channel.js'
import { DaemonLaunchFailed, DaemonStreamRefused, DaemonTooLate, DaemonUnsupported } from './daemonizer-errors.js'
import { takeInherited, type InheritedDescriptor } from '../systemd/socket-activation.js'
import { handSecrets, keptSecrets } from '../supervisor/kept-secrets.js'
import { closeInheritedDescriptors } from './inherited-descriptors.js'
import { sameEnvironment, sameProgram } from './same-program.js'

export interface LaunchOptions {
  readonly stdin: string
  readonly stdout: string
  readonly stderr: string
  readonly umask: number
  readonly timeout: number
  onLaunched (pid: number): unknown
}

/**
 * The first shell leads the new session and waits, the daemon is its child: not being the leader of a session, it can
 * never gain a controlling terminal. The second one becomes the daemon and is there for its `$$`. The daemon runs in the
 * foreground because a background job of a shell loses its standard input.
 */
const LEADER = '/bin/sh -c "$0" "$@"; exit $?'
const DAEMON = 'FASTKEEP_DAEMON_PID=$$ exec "$0" "$@"'
const ACTIVATED_DAEMON = `LISTEN_PID=$$ ${DAEMON}`
const SHELL_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** A terminal cannot reach the daemon any more: what it tells the launcher, the launcher passes on. */
const ENDING_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const

type Outcome =
  | { readonly ready: number }
  | { readonly ended: number }
  | { readonly overdue: number }
  | { readonly signal: NodeJS.Signals }

/**
 * Runs the program of this process anew as a daemon, waits for the outcome, and ends this process with the code that
 * tells it.
 *
 * @throws `FST_KEEP_ENGINE_DAEMON_...` before anything has been started
 */
export async function launch (options: LaunchOptions): Promise<never> {
  assertLaunchable()
  const leader = await start(options)
  const outcome = await outcomeOf(leader, options.timeout)
  const code = await finish(outcome, leader, options)
  // What a pipe has not taken yet, the exit would drop.
  for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write('', resolve))
  // As after fork(): what has to be done when the program exits is the daemon's business now.
  process.removeAllListeners('exit')
  process.exit(code)
}

function assertLaunchable (): void {
  if (process.platform === 'win32') throw new DaemonUnsupported('Windows has no daemons; run it as a service')
  if (!process.getBuiltinModule('node:worker_threads').isMainThread) throw new DaemonUnsupported('only the main thread can')
  const held = [...new Set(heldResources())]
  if (held.length > 0) throw new DaemonTooLate(held.join(' and '))
}

interface Report {
  libuv: Array<{ type: string, fd?: number, localEndpoint?: unknown, remoteEndpoint?: unknown }>
  workers: Array<{ header: { threadId: number } }>
}

/** The diagnostic report sees what `process.getActiveResourcesInfo()` does not: what was unref'd, threads, and which pipe is a Unix socket. */
function heldResources (): string[] {
  // Otherwise it looks up the names of all addresses.
  Object.assign(process.report, { excludeNetwork: true })
  const report = process.report.getReport() as unknown as Report
  return [...openSockets(report), ...workerThreads(report)]
}

const LAST_STANDARD_STREAM = 2

function openSockets ({ libuv }: Report): string[] {
  return libuv
    .filter(({ fd = 0 }) => fd > LAST_STANDARD_STREAM)
    .filter(({ type, localEndpoint, remoteEndpoint }) => type === 'tcp' || type === 'udp' || (type === 'pipe' && Boolean(localEndpoint ?? remoteEndpoint)))
    .map(({ type }) => `an open ${type === 'pipe' ? 'Unix' : type.toUpperCase()} socket`)
}

/** Loaders of other languages may run in a thread of Node's own, the first one. */
function workerThreads ({ workers }: Report): string[] {
  const hasLoader = /--(import|require|experimental-loader|loader)\b|(^| )-r\b/.test([...process.execArgv, process.env.NODE_OPTIONS].join(' '))
  return workers.filter(({ header }) => !(hasLoader && header.threadId === 1)).map(() => 'a worker thread')
}

async function start (options: LaunchOptions): Promise<ChildProcess> {
  const { isSea } = process.getBuiltinModule('node:sea')
  const { spawn } = process.getBuiltinModule('node:child_process')
  const program = sameProgram({ ...process, isSea: isSea() }, preload())
  const streams = openStreams(options)
  const activated = takeInherited()
  const passedOn = activated.map(({ fd }) => fd)
  closeInheritedDescriptors(new Set([...streams, ...passedOn]))
  const channel = streams.length + passedOn.length
  // From its first file on, the daemon has the umask by inheritance.
  process.umask(options.umask)
  try {
    const leader = spawn('/bin/sh', ['-c', LEADER, activated.length > 0 ? ACTIVATED_DAEMON : DAEMON, process.execPath, ...program], {
      detached: true,
      stdio: [...streams, ...passedOn, 'pipe', 'pipe'],
      env: environment({ channel, secrets: channel + 1 }, activated),
    })
    handSecrets(leader, channel + 1, keptSecrets.bundle())
    await once(leader, 'spawn')
    return leader
  } catch (cause) {
    throw new DaemonLaunchFailed((cause as Error).message, { cause })
  } finally {
    for (const descriptor of streams) closeSync(descriptor)
  }
}

/** Opens the daemon's end of the channel before the program's first import, so that a module that is missing is told too. */
function preload (): string | undefined {
  // A program that was bundled has no such file; the channel opens there when the bundle is run.
  return existsSync(fileURLToPath(PRELOAD)) ? PRELOAD : undefined
}

function environment (descriptors: Pick<LaunchNote, 'channel' | 'secrets'>, activated: readonly InheritedDescriptor[]): NodeJS.ProcessEnv {
  const variables = sameEnvironment(process.env)
  const unknownToShells = Object.entries(variables).filter(([name]) => !SHELL_VARIABLE.test(name))
  const note: LaunchNote = { ...descriptors, environment: Object.fromEntries(unknownToShells) as Record<string, string> }
  return { ...variables, ...activation(activated), [NOTE]: JSON.stringify(note) }
}

/** The variables of sd_listen_fds(3), but for `LISTEN_PID`. */
function activation (activated: readonly InheritedDescriptor[]): NodeJS.ProcessEnv {
  if (activated.length === 0) return {}
  const names = activated.map(({ name }) => name).filter(name => name !== undefined)
  return { LISTEN_FDS: String(activated.length), ...(names.length > 0 && { LISTEN_FDNAMES: names.join(':') }) }
}

function openStreams ({ stdin, stdout, stderr }: LaunchOptions): number[] {
  const append = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT
  const wanted: Array<[name: string, path: string, flags: number]> = [
    ['standard input', stdin, constants.O_RDONLY],
    ['standard output', stdout, append],
    ['standard error', stderr, append],
  ]
  const opened: number[] = []
  try {
    for (const [name, path, flags] of wanted) opened.push(openStream(name, path, flags))
    return opened
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor)
    throw error
  }
}

function openStream (name: string, path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOCTTY, 0o640)
  } catch (cause) {
    throw new DaemonStreamRefused(path, name, (cause as Error).message, { cause })
  }
}

function outcomeOf (leader: ChildProcess, timeout: number): Promise<Outcome> {
  return new Promise(resolve => {
    // Whoever read them may have gone; the outcome is the same.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
    process.getBuiltinModule('node:readline').createInterface({ input: leader.stdio.at(-2) as Socket }).on('line', line => {
      const message = JSON.parse(line) as DaemonMessage
      if ('ready' in message) resolve({ ready: message.ready })
      else process.stderr.write(message.stderr)
    })
    // Not 'exit': only when the channel is closed too has everything arrived, and the daemon ended.
    leader.once('close', (code, signal) => resolve({ ended: code ?? 128 + os.signals[signal as NodeJS.Signals] }))
    setTimeout(() => resolve({ overdue: timeout }), timeout)
    for (const signal of ENDING_SIGNALS) process.on(signal, () => resolve({ signal }))
    // Unheard, it would open Node's inspector.
    process.on('SIGUSR1', () => {})
  })
}

/** @returns the exit code */
async function finish (outcome: Outcome, leader: ChildProcess, options: LaunchOptions): Promise<number> {
  if ('ready' in outcome) {
    const gone = once(leader, 'exit')
    if (leader.kill('SIGKILL')) await gone
    await options.onLaunched(outcome.ready)
    return ExitCode.OK
  }
  if ('ended' in outcome) {
    tell(`the daemon ended with code ${outcome.ended}${signalNote(outcome.ended)} before it was ready`)
    return outcome.ended === 0 ? ExitCode.SOFTWARE : outcome.ended
  }
  await endGroup(leader)
  if ('signal' in outcome) {
    tell(`${outcome.signal} came before the daemon was ready: it was ended`)
    return 128 + os.signals[outcome.signal]
  }
  tell(`the daemon was not ready within ${outcome.overdue} ms: it was ended`)
  return ExitCode.NOT_READY
}

/** The daemon and all that it has started: they share the group of the shell. */
async function endGroup (leader: ChildProcess): Promise<void> {
  const closed = once(leader, 'close')
  signalGroup(leader, 'SIGTERM')
  await Promise.race([closed, delay(TERMINATION_GRACE)])
  signalGroup(leader, 'SIGKILL')
  await closed
}

function signalGroup (leader: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(leader.pid as number), signal)
  } catch {
    // None is left.
  }
}

/** How a shell tells that its child was killed: 128 and the number of the signal. */
function signalNote (code: number): string {
  const name = Object.entries(os.signals).find(([, number]) => number === code - 128)?.[0]
  if (name === undefined) return ''
  return name === 'SIGABRT' ? ' (SIGABRT: out of memory?)' : ` (${name})`
}

function tell (line: string): void {
  process.stderr.write(`fastkeep: ${line}\n`)
}
