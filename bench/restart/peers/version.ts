import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What a program says of its version; nothing where it is not installed. */
export async function versionOf (command: string, args: readonly string[], pattern: RegExp): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args)
    return pattern.exec(stdout + stderr)?.[0]
  } catch {
    return undefined
  }
}
