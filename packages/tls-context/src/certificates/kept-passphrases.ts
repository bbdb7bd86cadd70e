import { constants, openSync, readFileSync, writeSync } from 'node:fs'

/**
 * What was typed on the terminal of a launcher or a supervisor, for the processes that it starts of the same program.
 * It lies in a file without a name, in memory where the system has /dev/shm; the environment tells where, not what.
 * Linux only; elsewhere each process asks.
 */

// Not FASTKEEP_...: the engine takes all of these for options of its own.
const variable = 'TLS_CONTEXT_PASSPHRASES'
const location = /^\/proc\/\d+\/fd\/\d+$/

// Not in fs.constants: __O_TMPFILE, which Linux wants together with O_DIRECTORY.
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY

let kept: Readonly<Record<string, string>> = {}
let descriptor: number | undefined

export function keepForChildren (what: string, passphrase: string): void {
  kept = { ...kept, [what]: passphrase }
  if (process.platform !== 'linux') return
  try {
    descriptor ??= openSync('/dev/shm', O_TMPFILE | constants.O_RDWR, 0o600)
    writeSync(descriptor, JSON.stringify(kept), 0)
    process.env[variable] = `/proc/${process.pid}/fd/${descriptor}`
  } catch {
    // A child then asks by itself, or says that there is no terminal.
  }
}

export function keptByParent (what: string): string | undefined {
  const path = process.env[variable]
  if (path === undefined || !location.test(path)) return undefined
  try {
    const found = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    const passphrase = Object.hasOwn(found, what) ? found[what] : undefined
    return typeof passphrase === 'string' ? passphrase : undefined
  } catch {
    return undefined
  }
}
