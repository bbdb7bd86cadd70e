import { constants } from 'node:os'
import { nearest } from '@fastkeep/options'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { SignalListenerInvalid, UnknownSignal } from '../errors.js'

/**
 * - `exit`: drain, stop, exit; asked for again, see {@link SignalHandler}
 * - `quit`: the same with the drain's deadline at once
 * - `graceful`: the process reads again what it can
 * - `reload`, `restart`: a successor takes over, nothing is lost
 * - `hangup`: `reload`, or `exit` where standard input was a terminal at the start, which has then been closed
 * - `ignore`: nothing
 */
export type SignalAction = 'exit' | 'quit' | 'graceful' | 'reload' | 'restart' | 'hangup' | 'ignore'

/** What a signal does: a named action, or a function that is called with the signal's name. */
export type SignalListener = SignalAction | ((signal: NodeJS.Signals) => unknown)

export type SignalMap = Partial<Record<NodeJS.Signals, SignalListener>>

/**
 * `SIGUSR1` is among them because Node opens its inspector, without authentication, for any user of the machine when
 * that signal comes and nobody listens to it.
 */
export const DEFAULT_SIGNALS: Readonly<SignalMap> = {
  SIGTERM: 'exit',
  SIGINT: 'exit',
  SIGQUIT: 'quit',
  SIGHUP: 'hangup',
  SIGUSR1: 'graceful',
  SIGUSR2: 'restart',
}

/**
 * Windows has console events in their place: Ctrl-C, Ctrl-Break, and the closing of the console, after which the process
 * has some seconds. Log-off and shutdown are never told to Node.
 */
export const WINDOWS_SIGNALS: Readonly<SignalMap> = {
  SIGINT: 'exit',
  SIGBREAK: 'exit',
  SIGHUP: 'quit',
}

/** ms within which a signal that a process sends to itself has killed it. */
const KILL_PATIENCE = 200

const STDIN = 0

/** With this flag, of Node 22.14 and later, the signal is blocked for the whole process. */
const SIGUSR1_BLOCKED = /(^|\s)--disable[-_]sigusr1(\s|$)/

const UNCATCHABLE = new Set(['SIGKILL', 'SIGSTOP'])

/**
 * Turns signals into bus calls from `start` 10 until the bus has exited. While the bus stops, the second signal that
 * asks for the exit moves the drain's deadline to now, the third ends the process at once, killed by that signal.
 *
 * @example
 * const signals = new SignalHandler(engine)
 * signals.setHandler('SIGHUP', 'graceful')
 * signals.subscribe()
 */
export class SignalHandler {
  readonly #engine: Engine
  readonly #map: SignalMap
  readonly #installed = new Map<NodeJS.Signals, () => void>()
  readonly #unit: Unit<'start' | 'exit'>
  #hasTerminal = false
  #exitRequests = 0

  constructor (engine: Engine, signals: SignalMap = {}) {
    this.#engine = engine
    this.#unit = new Unit(engine, 'SignalHandler', {
      start: { channel: 'start', priority: 10, run: () => this.#installAll() },
      exit: { channel: 'exit', priority: 98, run: () => this.#uninstallAll() },
    })
    this.#map = { ...(process.platform === 'win32' ? WINDOWS_SIGNALS : DEFAULT_SIGNALS) }
    for (const [signal, listener] of Object.entries(signals)) {
      if (listener !== undefined) this.setHandler(signal as NodeJS.Signals, listener)
    }
  }

  /**
   * Says what a signal does.
   *
   * @throws `FST_KEEP_ENGINE_SIGNAL_UNKNOWN` for a name that this platform does not have or that cannot be caught,
   * `FST_KEEP_ENGINE_SIGNAL_LISTENER` for what is neither an action nor a function
   */
  setHandler (signal: NodeJS.Signals, listener: SignalListener): void {
    assertCatchable(signal)
    assertListener(signal, listener)
    this.#map[signal] = listener
    if (this.#isSubscribed && !this.#installed.has(signal)) this.#install(signal)
  }

  /** Installs the handlers when the bus starts. */
  subscribe (priorities?: Priorities<'start' | 'exit'>): this {
    this.#unit.subscribe(priorities)
    return this
  }

  /** Takes the handlers away; what listened to the signals besides them is as it was. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
    this.#uninstallAll()
  }

  get #isSubscribed (): boolean {
    return this.#installed.size > 0
  }

  #installAll (): void {
    // Of one that has been closed the system does not tell that it was a terminal.
    this.#hasTerminal = process.getBuiltinModule('node:tty').isatty(STDIN)
    for (const signal of Object.keys(this.#map)) this.#install(signal as NodeJS.Signals)
    if (SIGUSR1_BLOCKED.test([...process.execArgv, process.env.NODE_OPTIONS].join(' '))) {
      this.#engine.log('SIGUSR1 does nothing: Node runs with --disable-sigusr1, which keeps it from the process; leave the flag out, the handler keeps the inspector closed as well', 'warn', undefined, 'FST_KEEP_ENGINE_SIGNAL_BLOCKED')
    }
  }

  #install (signal: NodeJS.Signals): void {
    if (this.#installed.has(signal)) return
    const handler = (): void => this.#handle(signal)
    this.#installed.set(signal, handler)
    process.on(signal, handler)
  }

  #uninstallAll (): void {
    for (const [signal, handler] of this.#installed) process.off(signal, handler)
    this.#installed.clear()
  }

  #handle (signal: NodeJS.Signals): void {
    const listener = this.#map[signal]
    this.#engine.log(`Caught ${signal}`)
    switch (listener) {
      case 'exit': return this.#exit(signal)
      case 'quit':
        this.#engine.server.hurry(signal)
        return this.#exit(signal)
      case 'graceful': return this.#report(signal, this.#engine.graceful())
      case 'hangup': return this.#hasTerminal ? this.#exit(signal) : this.#report(signal, this.#engine.reload())
      case 'reload': return this.#report(signal, this.#engine.reload())
      case 'restart': return this.#report(signal, this.#engine.restart())
      case 'ignore': case undefined: return
      default: return this.#report(signal, Promise.resolve(signal).then(listener))
    }
  }

  #exit (signal: NodeJS.Signals): void {
    this.#exitRequests++
    if (this.#exitRequests === 1) return this.#report(signal, this.#engine.exit())
    if (this.#exitRequests === 2) {
      this.#engine.log('Asked again: the drain ends now')
      return this.#engine.server.hurry('a second signal')
    }
    this.#uninstallAll()
    process.kill(process.pid, signal)
    // As process 1 of a container the default action of the signal does not end it.
    setTimeout(() => process.exit(128 + constants.signals[signal]), KILL_PATIENCE)
  }

  #report (signal: NodeJS.Signals, outcome: Promise<unknown>): void {
    outcome.catch((error: unknown) => this.#engine.log(`${signal} failed: ${String(error)}`, 'error', error))
  }
}

const ACTIONS: readonly SignalAction[] = ['exit', 'quit', 'graceful', 'reload', 'restart', 'hangup', 'ignore']

function assertListener (signal: string, listener: unknown): void {
  if (typeof listener === 'function' || (ACTIONS as readonly unknown[]).includes(listener)) return
  const meant = typeof listener === 'string' ? nearest(listener, ACTIONS) : undefined
  throw new SignalListenerInvalid(signal, ACTIONS.join(', '), meant === undefined ? '' : `, did you mean "${meant}"?`)
}

function assertCatchable (signal: string): void {
  if (UNCATCHABLE.has(signal)) throw new UnknownSignal(`${signal} cannot be caught by any process`)
  if (signal in constants.signals) return
  const meant = nearest(signal, Object.keys(constants.signals))
  throw new UnknownSignal(`this platform has no signal "${signal}"${meant === undefined ? '' : `, did you mean "${meant}"?`}`)
}
