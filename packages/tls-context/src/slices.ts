import { setImmediate } from 'node:timers/promises'

/** Runs a generator to its end at once. */
export function runAtOnce<Result> (steps: Generator<undefined, Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** ms that the event loop waits at most, but for the last step. */
const slice = 1

/** Runs a generator in slices, between which all else goes on. */
export async function runInSlices<Result> (steps: Generator<undefined, Result>): Promise<Result> {
  let start = performance.now()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (performance.now() - start < slice) continue
    await setImmediate()
    start = performance.now()
  }
}
