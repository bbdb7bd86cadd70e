import { AsyncResource } from 'node:async_hooks'
import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import { func, integer, oneOf, optionChecker, type Rule } from '@fastkeep/options'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { ExitCode } from '../exit-codes.js'
import { UncaughtException, UnhandledRejection } from './monitor-errors.js'

export type Fault = 'uncaughtException' | 'unhandledRejection'

export interface CrashPolicyOptions {
  /**
   * ms for which requests may still be finished after a fault, 0 to 60,000; what the stop has not done 2,000 ms later is
   * left undone. Default 3,000.
   */
  deadline?: number
  /**
   * What counts as a fault. `uncaughtException` alone leaves rejections to Node and to whoever else listens to them;
   * those that Node then throws, which is its default, count all the same. Default `both`.
   */
  on?: Fault | 'both'
  /** Ends the process. Default: `process.exit`. */
  exit?: (code: number) => void
}

export const DEFAULT_CRASH_DEADLINE = 3_000

const MINUTE = 60_000

/** ms for what comes after the drain: application listeners, `app.close()`, `exit`. */
const LAST_WORDS = 2_000

export const CRASH_RULES = {
  deadline: integer(0, MINUTE, 'ms'), on: oneOf(['uncaughtException', 'unhandledRejection', 'both']), exit: func,
} satisfies Record<string, Rule>

const FAULTS = {
  uncaughtException: { name: 'uncaught exception', FaultError: UncaughtException },
  unhandledRejection: { name: 'unhandled rejection', FaultError: UnhandledRejection },
} as const

const crashed = diagnosticsChannel('fastkeep:engine:crash')

const checkOptions = optionChecker('engine')

/**
 * What happens when nobody catches an error, from `start` 10 until the bus has exited. Nothing can be relied on after
 * that, so the process ends, but not in the middle of its requests:
 *
 * - the error goes to standard error with its stack, to the log as `fatal` with `FST_KEEP_ENGINE_UNCAUGHT_EXCEPTION` or
 *   `FST_KEEP_ENGINE_UNHANDLED_REJECTION`, and, the first
 *   one, to `fastkeep:engine:crash` as `{ bus, error, origin }`
 * - the bus exits; its drain ends after `deadline`, and 2,000 ms later the process, whatever is left to do
 * - the exit code is 70, also if somebody else ends the process with another one meanwhile
 * - a further fault is told in the same way and changes nothing: faults come in swarms, e.g. when a database goes away,
 *   and requests that can be finished still are
 *
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @see https://nodejs.org/api/process.html#warning-using-uncaughtexception-correctly
 * @example new CrashPolicy(engine, { deadline: 1_000 }).subscribe()
 */
export class CrashPolicy {
  readonly #engine: Engine
  readonly #deadline: number
  readonly #origins: readonly Fault[]
  readonly #exit: (code: number) => void
  readonly #stop: () => Promise<void>
  readonly #unit: Unit<'start' | 'exit'>
  #first: { fault: unknown } | undefined

  constructor (engine: Engine, options: CrashPolicyOptions = {}) {
    checkOptions(options, CRASH_RULES)
    const { deadline = DEFAULT_CRASH_DEADLINE, on = 'both', exit = code => process.exit(code) } = options
    this.#engine = engine
    this.#unit = new Unit(engine, 'CrashPolicy', {
      start: { channel: 'start', priority: 10, run: () => this.#install() },
      exit: { channel: 'exit', priority: 98, run: () => { if (this.#first === undefined) this.#uninstall() } },
    })
    this.#deadline = deadline
    this.#origins = on === 'both' ? ['uncaughtException', 'unhandledRejection'] : [on]
    this.#exit = exit
    // A fault comes in the context of what it happened in, and the bus refuses an exit that one of its listeners asks for.
    this.#stop = AsyncResource.bind(() => this.#engine.exit())
  }

  /** Takes faults from the next start of the bus on. */
  subscribe (priorities?: Priorities<'start' | 'exit'>): this {
    this.#unit.subscribe(priorities)
    return this
  }

  /** Leaves faults to Node again. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
    this.#uninstall()
  }

  #install (): void {
    this.#uninstall()
    for (const origin of this.#origins) process.on(origin, this.#handlers[origin])
  }

  #uninstall (): void {
    for (const origin of this.#origins) process.off(origin, this.#handlers[origin])
  }

  readonly #handlers = {
    uncaughtException: (error: Error, origin: Fault) => this.#handle(error, origin),
    unhandledRejection: (reason: unknown) => this.#handle(reason, 'unhandledRejection'),
  }

  #handle (fault: unknown, origin: Fault): void {
    // With --unhandled-rejections=strict Node tells of a rejection twice.
    if (this.#first?.fault === fault) return
    const isFirst = this.#first === undefined
    this.#first ??= { fault }
    const { inspect } = process.getBuiltinModule('node:util')
    const { name, FaultError } = FAULTS[origin]
    tell(`${isFirst ? '' : 'while ending because of the first fault: '}${name}: ${inspect(fault)}`)
    const error = new FaultError(fault instanceof Error ? fault.message : inspect(fault), { cause: fault })
    this.#engine.log(error.message, 'fatal', error)
    // Once: a subscriber that fails is itself a further fault.
    if (!isFirst) return
    process.once('exit', saySoftware)
    crashed.publish({ bus: this.#engine, error, origin })
    this.#end()
  }

  #end (): void {
    // Nobody knows what state the process is in: it takes nothing new.
    this.#engine.server.skipDelay()
    const hurry = setTimeout(() => this.#engine.server.hurry(`the crash policy, ${this.#deadline} ms after a fault,`), this.#deadline)
    const giveUp = setTimeout(() => {
      tell(`the stop is not done after ${this.#deadline + LAST_WORDS} ms; the process ends without the rest of it`)
      this.#exit(ExitCode.SOFTWARE)
    }, this.#deadline + LAST_WORDS)
    this.#stop().catch((error: Error) => tell(`did not stop cleanly: ${error.message}`)).finally(() => {
      clearTimeout(hurry)
      clearTimeout(giveUp)
      this.#exit(ExitCode.SOFTWARE)
    })
  }
}

/** Whoever ends the process after a fault, it does not say that all was well. */
function saySoftware (): void {
  process.exitCode = ExitCode.SOFTWARE
}

function tell (line: string): void {
  try {
    writeSync(process.stderr.fd, `fastkeep: ${line}\n`)
  } catch {
    // Nobody reads it any more; as an event of the stream that would be the second fault.
  }
}
