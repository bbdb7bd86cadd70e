import { ChannelFailures, ListenerFailure } from './bus/channel-failures.js'
import { Engine } from './engine.js'
import { RegistrationRefused } from './errors.js'
import { ExitCode, exitCodeOf } from './exit-codes.js'
import { daemonState } from './plugins/daemon-channel.js'
import { predecessor } from './supervisor/predecessor.js'
import { supervised } from './supervisor/supervised.js'

/** What Node says when the event loop ran empty under an `await` of the main module. */
const UNSETTLED_TOP_LEVEL_AWAIT = 13

/**
 * Starts an engine, waits until it has exited, and ends the process with the code that tells the outcome: the one place
 * that does so. What went wrong stands on standard error: one line each, and the stack
 * of an error that was not made for operators (has no `exitCode`).
 *
 * - a start that fails: the bus exits, the code is that of the first failure (e.g. 71 for a port that is taken)
 * - an exit that fails, a drain deadline that cut requests: 70, or what the failure asks for
 * - a process that would end by itself because nothing keeps it alive while the bus has not exited: 70
 *
 * Never resolves.
 *
 * @param engine the engine, or a function that makes it, whose failure is told in the same way
 *
 * @example await runToExit(app.engine)
 */
export async function runToExit (engine: Engine | (() => Engine | Promise<Engine>)): Promise<never> {
  if (isRunning) throw new RegistrationRefused('runToExit: it was called before: one process has one outcome')
  isRunning = true
  let present: Engine | undefined
  let hasRunDry = false
  const onBeforeExit = (): void => { hasRunDry = true }
  const onExit = (code: number): void => {
    if (code !== ExitCode.OK && code !== UNSETTLED_TOP_LEVEL_AWAIT) return
    const why = hasRunDry ? 'nothing kept it alive' : 'something called process.exit()'
    tell(`the process ended while the bus was ${present?.state ?? 'being made'}: ${why}`)
    process.exitCode = ExitCode.SOFTWARE
  }
  process.once('beforeExit', onBeforeExit).once('exit', onExit)
  const code = await outcome(async () => {
    present = typeof engine === 'function' ? await engine() : engine
    if (!(present instanceof Engine)) throw new RegistrationRefused('runToExit: it needs an Engine: await app.register(engine), then runToExit(app.engine)')
    return present
  })
  process.off('beforeExit', onBeforeExit).off('exit', onExit)
  process.exit(code)
}

let isRunning = false

async function outcome (make: () => Promise<Engine>): Promise<number> {
  let engine: Engine | undefined
  try {
    engine = await make()
    await engine.start()
  } catch (error) {
    // An engine tells that by itself.
    if (engine === undefined) tellStarter(error)
    // In the launcher of a daemon nothing else counts than what becomes of the daemon.
    await daemonState.launch
    // An exit that was asked for while the bus started, e.g. by a signal, is not a failure.
    if (engine === undefined || (error as { code?: string }).code !== 'FST_KEEP_ENGINE_START_CANCELLED') {
      tellFailure('cannot start', error)
      await engine?.exit().catch(() => {})
      return exitCodeOf(error)
    }
  }
  try {
    await engine.block()
    return ExitCode.OK
  } catch (error) {
    tellFailure('did not stop cleanly', error)
    return exitCodeOf(error)
  }
}

/** Whoever started this process in place of another one hears why it did not come to serve. */
function tellStarter (error: unknown): void {
  predecessor?.failed(error instanceof Error ? error.message : String(error), exitCodeOf(error))
  supervised?.failed(error)
}

function tellFailure (what: string, error: unknown): void {
  const failures = error instanceof ChannelFailures ? error.errors : [error]
  for (const failure of failures) {
    tell(`${what}: ${failure instanceof Error ? failure.message : String(failure)}`)
    const cause = failure instanceof ListenerFailure ? failure.cause : failure
    const thrown = thrownByProgram(cause)
    if (thrown !== undefined) tell(thrown.stack ?? thrown.message)
  }
}

/** Errors that name their exit code were made for the operator; of any other one, and of what such an error is about, the programmer needs the stack. */
function thrownByProgram (error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined
  const { exitCode } = error as { exitCode?: unknown }
  if (typeof exitCode !== 'number') return error
  return exitCode === ExitCode.SOFTWARE ? thrownByProgram(error.cause) : undefined
}

function tell (line: string): void {
  process.stderr.write(`fastkeep: ${line}\n`)
}
