import { isFastkeepError, StoreUnavailable } from '../errors.js'

interface Pending {
  /** `performance.now()` */
  readonly until: number
  readonly expire: () => void
}

/** How often (ms) what is pending is looked at: a timer for each question would cost more than most answers. */
const TICK = 25

/**
 * Gives answers a deadline: what has none within so many ms, or fails, rejects with `FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE` (503).
 * While nothing is asked no timer runs.
 */
export class Deadlines {
  readonly #timeout: number
  readonly #pending = new Set<Pending>()
  #timer: NodeJS.Timeout | undefined

  /** @param timeout ms */
  constructor (timeout: number) {
    this.#timeout = timeout
  }

  /**
   * @param isRight whether an answer has the right shape; else it counts as failed
   * @returns at once what is answered at once, and throws then what else would reject
   */
  within<Result> (ask: () => Result | Promise<Result>, isRight: (result: Result) => boolean = () => true): Result | Promise<Result> {
    let answer: Result | Promise<Result>
    try {
      answer = ask()
    } catch (error) {
      throw asUnavailable(error)
    }
    if (isPromise(answer)) return this.#inTime(answer, isRight)
    if (!isRight(answer)) throw garbage()
    return answer
  }

  #inTime<Result> (answer: PromiseLike<Result>, isRight: (result: Result) => boolean): Promise<Result> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { until: performance.now() + this.#timeout, expire: () => reject(new StoreUnavailable(`no answer within ${this.#timeout} ms`)) }
      this.#pending.add(pending)
      this.#timer ??= setInterval(() => this.#look(), TICK).unref()
      Promise.resolve(answer).then(result => {
        this.#pending.delete(pending)
        if (isRight(result)) resolve(result)
        else reject(garbage())
      }).catch((error: unknown) => {
        this.#pending.delete(pending)
        reject(asUnavailable(error))
      })
    })
  }

  #look (): void {
    const now = performance.now()
    for (const pending of this.#pending) {
      // They were asked in order and all have the same time.
      if (pending.until > now) break
      this.#pending.delete(pending)
      pending.expire()
    }
    if (this.#pending.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Also one of a library of its own. */
function isPromise<Result> (answer: Result | PromiseLike<Result>): answer is PromiseLike<Result> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function'
}

/** An answer was none that a store of sessions gives. */
export function garbage (): Error {
  return new StoreUnavailable('its answer has a shape that no store of sessions gives')
}

function asUnavailable (error: unknown): Error {
  // What we say ourselves, such as that a store is full, stays as it is.
  if (isFastkeepError(error)) return error
  // What the store says can name hosts and users: it goes to the log with the cause, not to whoever sent the request.
  return new StoreUnavailable('the store failed', { cause: error as Error })
}
