import { closeSync, readdirSync, readFileSync } from 'node:fs'

const FDINFO = '/proc/self/fdinfo'
const STANDARD_STREAMS = 3
/** `O_CLOEXEC` of Linux; `node:fs` does not name it. */
const CLOSE_ON_EXEC = 0o2000000

/**
 * The descriptors above 2 that a process started from now on would inherit: those that this process inherited itself
 * and Node left as they were. Whatever Node opens has `O_CLOEXEC`. Empty where there is no `/proc`: on macOS libuv
 * passes on nothing that was not asked for.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html
 */
export function inheritedDescriptors (): number[] {
  return descriptors().filter(descriptor => descriptor >= STANDARD_STREAMS && isInheritable(descriptor))
}

/**
 * Closes the inherited descriptors that nobody declared.
 *
 * @param declared descriptors that stay open
 * @returns those that were closed
 * @example closeInheritedDescriptors(new Set([3, 4]))
 */
export function closeInheritedDescriptors (declared: ReadonlySet<number>): number[] {
  const leaked = inheritedDescriptors().filter(descriptor => !declared.has(descriptor))
  for (const descriptor of leaked) closeSync(descriptor)
  return leaked
}

/** Whether the text of a `/proc/self/fdinfo` file lacks the close-on-exec flag. */
export function lacksCloseOnExec (fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1]
  return flags !== undefined && (parseInt(flags, 8) & CLOSE_ON_EXEC) === 0
}

function descriptors (): number[] {
  try {
    return readdirSync(FDINFO).map(Number)
  } catch {
    return []
  }
}

function isInheritable (descriptor: number): boolean {
  try {
    return lacksCloseOnExec(readFileSync(`${FDINFO}/${descriptor}`, 'utf8'))
  } catch {
    // The one that the listing itself had open is gone by now.
    return false
  }
}
