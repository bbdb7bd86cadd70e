import { accessSync, constants } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { arrayOf, boolean, integer, nested, optionChecker, string, type Rule } from '@fastkeep/options'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { SupervisorRefused } from '../errors.js'
import { resolveTarget, type Target } from '../plugins/become-user.js'
import { assertReadable, giveFile, umask, userOrGroup } from '../plugins/drop-privileges.js'
import type { SignalMap } from '../plugins/signal-handler.js'
import type { BoundSockets } from '../server/bound-sockets.js'
import type { ListenOptions } from '../server/listen-options.js'
import type { Holder } from '../server/server.js'
import { assertNothingRunsBefore } from './early-code.js'
import { keptSecrets } from './kept-secrets.js'
import type { RecycleOptions } from './recycling.js'
import { readSecrets } from './secrets.js'
import { WorkerProcess, type WorkerStatus } from './worker-process.js'
import { Workers } from './workers.js'

export interface SupervisorOptions {
  /** The file of the program that each worker runs. */
  program: string
  /** Its arguments. Default: none. */
  args?: readonly string[]
  /** Flags of Node for the workers, e.g. `['--import=tsx']`. Default: none. */
  execArgv?: readonly string[]
  /** How many; `auto`: one for each processor that this process may use. Default `auto`. */
  workers?: number | 'auto'
  /**
   * Where the workers listen; they need not know. An app that takes one of several takes it by the `socketName` that it
   * has here. Default: a free port of 127.0.0.1.
   */
  listen?: ListenOptions | readonly ListenOptions[]
  /** Whom the workers become before any code of the program runs. Default: no change. */
  user?: string | number
  /** Default: the user's own. */
  group?: string | number
  /** The file mode creation mask of the workers. Default: as it is. */
  umask?: number
  /** Log files to give to that user. Default: none. */
  logFiles?: readonly string[]
  /** What that user must be able to read, checked before anything is touched. Default: none. */
  mustRead?: readonly string[]
  /** Files that only this process may read; the workers get them by `readSecret()`. Default: none. */
  secrets?: readonly string[]
  /** ms within which a worker must serve. Default 60,000. */
  readyTimeout?: number
  /**
   * ms without a sign of life after which a worker counts as blocked and is replaced; after half of it the JavaScript
   * that blocks stands on standard error. Default 10,000.
   */
  blockedAfter?: number
  /** When a worker that is well gives its place to a new one. Default: never. */
  recycle?: RecycleOptions
  /**
   * Whether a worker that has more open connections than its share, a tenth above the mean and at least 8, leaves new
   * ones to the others. Default `true`.
   */
  balance?: boolean
}

export interface SupervisorStatus {
  readonly target: number
  /** How many reloads have replaced the workers, and 1. */
  readonly generation: number
  readonly crashLoop: boolean
  readonly workers: readonly WorkerStatus[]
}

const MOST_WORKERS = 1024
const DEFAULT_BLOCKED_AFTER = 10_000
const LONGEST = 2 ** 31 - 1

const count: Rule = {
  expected: `"auto" or a whole number from 1 to ${MOST_WORKERS}`,
  accepts: value => value === 'auto' || integer(1, MOST_WORKERS, 'workers').accepts(value),
}

export const SUPERVISOR_RULES = {
  program: string('a path'),
  args: arrayOf(string()),
  execArgv: arrayOf(string()),
  workers: count,
  user: userOrGroup,
  group: userOrGroup,
  umask,
  logFiles: arrayOf(string('a path')),
  mustRead: arrayOf(string('a path')),
  secrets: arrayOf(string('a path')),
  readyTimeout: integer(1, LONGEST, 'ms'),
  blockedAfter: integer(2_000, LONGEST, 'ms'),
  balance: boolean,
  recycle: nested({
    requests: integer(1, Number.MAX_SAFE_INTEGER, 'requests'),
    age: integer(1_000, Number.MAX_SAFE_INTEGER, 'ms'),
    memory: integer(1, Number.MAX_SAFE_INTEGER, 'bytes'),
  }),
} satisfies Record<string, Rule>

const checkOptions = optionChecker('engine')

/**
 * Runs a service in several processes, the workers. This process binds the sockets, keeps the privilege to do so, and
 * never accepts a connection nor runs a line of the service: while no worker lives, connections wait in the kernel.
 *
 * - `start` 5: finds user and group, reads the secrets; nothing has been changed when that fails
 * - `start` 76: gives log files and unix sockets to the user
 * - `start` 80: starts the workers; done when all of them serve
 * - `graceful` 40: passes it on to each worker
 * - with the Server's drain, `stop` 20: the workers drain and end
 *
 * `engine.reload()` replaces the workers one after the other, the new one first; `engine.restart()` replaces this
 * process as well.
 *
 * @throws at construction `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`; from `start()`
 *   `FST_KEEP_ENGINE_SUPERVISOR_REFUSED` (78), `FST_KEEP_ENGINE_WORKER_FAILED` (the worker's own exit code),
 *   `FST_KEEP_ENGINE_PRIVILEGES_...`
 * @example
 * const engine = new Engine()
 * const supervisor = new Supervisor(engine, { program: 'server.js', workers: 4, listen: { port: 80 }, user: 'www-data' })
 * supervisor.subscribe()
 * new SignalHandler(engine, supervisor.signals).subscribe()
 * await runToExit(engine)
 */
export class Supervisor {
  /** For a SignalHandler: SIGTTIN is one worker more, SIGTTOU one less. */
  readonly signals: SignalMap = {
    SIGTTIN: () => this.#workers.scaleBy(1),
    SIGTTOU: () => this.#workers.scaleBy(-1),
  }

  readonly #engine: Engine
  readonly #options: SupervisorOptions
  readonly #listeners: readonly ListenOptions[]
  readonly #sockets: readonly BoundSockets[]
  #workers: Workers
  readonly #unit: Unit<'preflight' | 'files' | 'workers' | 'graceful' | 'stop'>
  #target: Target | undefined
  #secrets: Record<string, string> = {}
  #stopping: Promise<void> | undefined

  constructor (engine: Engine, options: SupervisorOptions) {
    const { listen = {}, ...others } = options
    checkOptions({ ...others, program: options.program ?? null }, SUPERVISOR_RULES)
    this.#engine = engine
    // The working directory may change before they are used.
    const absolute = (paths: readonly string[] = []): string[] => paths.map(path => resolve(path))
    this.#options = { ...options, program: resolve(options.program), logFiles: absolute(options.logFiles), mustRead: absolute(options.mustRead), secrets: absolute(options.secrets) }
    const ofUser = (['group', 'logFiles', 'mustRead'] as const).find(name => options[name] !== undefined)
    if (options.user === undefined && ofUser !== undefined) throw new SupervisorRefused(`supervisor: the option "${ofUser}" says how workers become a "user", and there is none`)
    this.#listeners = [listen].flat()
    if (this.#listeners.length === 0) throw new SupervisorRefused('supervisor: the option "listen" is an empty array; name one address at least')
    this.#sockets = engine.server.hold(this.#listeners, this.#holder())
    this.#workers = this.#makeWorkers()
    this.#unit = new Unit(engine, 'Supervisor', {
      preflight: { channel: 'start', priority: 5, run: () => this.#preflight() },
      files: { channel: 'start', priority: 76, run: () => this.#giveFiles() },
      workers: { channel: 'start', priority: 80, run: () => this.#start() },
      graceful: { channel: 'graceful', priority: 40, run: () => this.#graceful() },
      stop: { channel: 'stop', priority: 21, run: () => this.#stopping },
    })
  }

  subscribe (priorities?: Priorities<'preflight' | 'files' | 'workers' | 'graceful' | 'stop'>): this {
    if (this.#unit.isSubscribed) return this
    if (process.platform === 'win32') throw new SupervisorRefused('a supervisor hands sockets to its workers by their descriptors, which Windows does not have; run one process, or several behind a proxy')
    this.#unit.subscribe(priorities)
    this.#engine.supervisor = this
    this.#engine.server.onDrain(deadline => this.#stop(deadline))
    return this
  }

  /** The file of each secret is read again first, so that new workers get new keys. */
  async reload (): Promise<void> {
    const before = this.#secrets
    this.#readSecrets()
    await this.#workers.reload().catch((error: unknown) => {
      this.#secrets = before
      throw error
    })
    this.#engine.log(`All ${this.#workers.target} workers are new`)
  }

  /**
   * @param count of workers from now on
   * @throws `FST_KEEP_ENGINE_OPTION_INVALID`, `FST_KEEP_ENGINE_WORKER_FAILED`
   */
  async scale (count: number): Promise<void> {
    checkOptions({ workers: count }, { workers: integer(1, MOST_WORKERS, 'workers') })
    await this.#workers.scale(count)
  }

  /** The workers, with what their apps know, e.g. when certificates expire. */
  async workerStatus (): Promise<WorkerStatus[]> {
    return await this.#workers.fullStatus()
  }

  /** Where the workers serve, as the first that does says; empty while none does. */
  get urls (): readonly string[] {
    return this.#workers.present.find(({ state }) => state === 'ready')?.urls ?? []
  }

  get status (): SupervisorStatus {
    const { target, generation, isLooping, status } = this.#workers
    return { target, generation, crashLoop: isLooping, workers: status }
  }

  #preflight (): void {
    const { program, user, group, mustRead = [] } = this.#options
    try {
      accessSync(program, constants.R_OK)
    } catch (cause) {
      throw new SupervisorRefused(`the program ${program} cannot be read: ${(cause as Error).message}`, { cause })
    }
    this.#target = user === undefined ? undefined : resolveTarget(user, group)
    if (this.#target?.identity !== undefined) assertNothingRunsBefore(this.#options.execArgv ?? [], process.env.NODE_OPTIONS ?? '')
    if (this.#target !== undefined) assertReadable(mustRead, this.#target)
    this.#readSecrets()
  }

  #readSecrets (): void {
    this.#secrets = readSecrets(this.#options.secrets ?? [], this.#target?.identity !== undefined)
  }

  /** What cannot be read again keeps no worker from reading the rest. */
  async #graceful (): Promise<void> {
    let failure: unknown
    try {
      this.#readSecrets()
    } catch (error) {
      failure = error
    }
    await this.#workers.graceful(keptSecrets.bundle(this.#secrets))
    if (failure !== undefined) throw failure
  }

  #giveFiles (): void {
    if (this.#target?.identity === undefined) return
    const { account } = this.#target
    for (const path of this.#options.logFiles ?? []) giveFile(path, account)
    this.#engine.server.giveSocketsTo(account.uid, account.gid)
  }

  async #start (): Promise<void> {
    const { workers = 'auto' } = this.#options
    this.#workers = this.#makeWorkers()
    await this.#workers.start(workers === 'auto' ? availableParallelism() : workers)
    for (const url of this.urls) {
      this.#engine.log(`${this.#workers.target} workers serve on ${url}`, 'info', undefined, 'FST_KEEP_ENGINE_SERVING')
    }
  }

  async #stop (deadline: AbortSignal): Promise<void> {
    this.#stopping = this.#workers.stop(deadline, this.#engine.server.isHandedOver)
    // Told by the listener of `stop` 21, which waits longer than the drain does.
    await this.#stopping.catch(() => {})
  }

  #holder (): Holder {
    const longest = (what: 'keepAliveTimeout' | 'longestStop' | 'longestDrain'): number => Math.max(0, ...this.#workers.all.map(worker => worker[what]))
    const connections = (): number => this.#workers.all.reduce((sum, { stats }) => sum + stats.connections, 0)
    return {
      get connections () { return connections() },
      get keepAliveTimeout () { return longest('keepAliveTimeout') },
      get longestStop () { return longest('longestStop') },
      get longestDrain () { return longest('longestDrain') },
    }
  }

  #makeWorkers (): Workers {
    const { recycle = {}, blockedAfter = DEFAULT_BLOCKED_AFTER } = this.#options
    return new Workers((slot, generation, isGentle) => this.#spawn(slot, generation, isGentle), { recycle, blockedAfter }, (message, level, code) => {
      this.#engine.log(message, level, undefined, code)
    })
  }

  #spawn (slot: number, generation: number, isGentle: boolean): WorkerProcess {
    const { program, args = [], execArgv = [], umask, readyTimeout = 60_000, blockedAfter = DEFAULT_BLOCKED_AFTER, balance = true } = this.#options
    return new WorkerProcess(slot, generation, {
      program,
      args,
      execArgv,
      sockets: this.#sockets.flatMap(({ handed }, index) => handed.map(socket => ({
        ...socket, activation: socket.activation ?? this.#listeners[index]?.socketName ?? '',
      }))),
      handles: balance ? this.#sockets.flatMap(({ listeners }) => listeners.map(({ sendable }) => sendable)) : [],
      secrets: keptSecrets.bundle(this.#secrets),
      target: this.#target,
      umask,
      timeout: readyTimeout,
      toldAfter: Math.floor(blockedAfter / 2),
      isGentle,
    })
  }
}
