import { ExitCode, exitCodeOf } from '../exit-codes.js'

/** One listener's failure: which channel, which listener, and in `cause` what it threw. */
export class ListenerFailure extends Error {
  override readonly name = 'ListenerFailure'
  readonly code = 'FST_KEEP_ENGINE_LISTENER_FAILED'
  readonly channel: string
  readonly listener: string

  constructor (channel: string, listener: string, cause: unknown) {
    super(`${listener}: ${messageOf(cause)}`, { cause })
    this.channel = channel
    this.listener = listener
  }

  /** The exit code that the cause asks for, else 70. */
  get exitCode (): number {
    return exitCodeOf(this.cause)
  }
}

/**
 * All failures of one publish or one transition. `errors` are {@link ListenerFailure}s in the order in which they
 * happened, `cause` is what the first one threw, or what ended the transition before them.
 */
export class ChannelFailures extends AggregateError {
  override readonly name = 'ChannelFailures'
  readonly code = 'FST_KEEP_ENGINE_CHANNEL_FAILURES'
  declare errors: ListenerFailure[]

  constructor (failures: readonly ListenerFailure[], error: unknown = failures[0]) {
    super(failures, failures.map(failure => `"${failure.channel}" failed in ${failure.message}`).join('; '), { cause: error instanceof ListenerFailure || error instanceof ChannelFailures ? error.cause : error })
  }

  /** The exit code that the first failure asks for. */
  get exitCode (): number {
    return this.errors[0]?.exitCode ?? ExitCode.SOFTWARE
  }
}

function messageOf (cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
