import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * Whether a test must be skipped for want of a program: `false` when it is installed, else the reason.
 * With `CI=true` a missing program is an error, so that no test is silently left out there.
 *
 * @example test('openssl accepts it', { skip: needs('openssl') }, async t => {})
 */
export function needs (program: string): string | false {
  if (pathOf(program) !== undefined) return false
  const reason = `${program} is not installed`
  if (process.env.CI === 'true') throw new Error(`${reason}, and with CI=true no test may be skipped for that`)
  return reason
}

/** The absolute path of a program found through PATH. */
export function pathOf (program: string): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map(directory => join(directory, program))
  return candidates.find(candidate => {
    try {
      accessSync(candidate, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Whether a test must be skipped because this user is not root; with `CI=true` that is an error. */
export function needsRoot (): string | false {
  if (process.getuid?.() === 0) return false
  const reason = 'not root'
  if (process.env.CI === 'true') throw new Error(`${reason}, and with CI=true no test may be skipped for that`)
  return reason
}
