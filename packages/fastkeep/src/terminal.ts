import type { WriteStream } from 'node:tty'

/** Where a command prints: results to standard output, all else to standard error. */
export interface Terminal {
  /** Whether standard output takes colours: it is a terminal, and NO_COLOR is not set. */
  readonly hasColours: boolean
  /** One line or more on standard output. */
  print (text: string): void
  /** One line or more on standard error. */
  tell (text: string): void
  /** A line that the next one replaces; nothing where standard error is not a terminal. */
  progress (text: string): void
}

const ERASE_LINE = '\r\u001b[K'

/**
 * The terminal of this process.
 *
 * @see https://no-color.org
 */
export function terminalOf (stdout: WriteStream, stderr: WriteStream, environment: NodeJS.ProcessEnv): Terminal {
  let isProgressShown = false
  const erase = (): void => {
    if (isProgressShown) stderr.write(ERASE_LINE)
    isProgressShown = false
  }
  return {
    hasColours: stdout.isTTY && (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb',
    print: text => {
      erase()
      stdout.write(`${text}\n`)
    },
    tell: text => {
      erase()
      // What a service said may be in it, and is not to command the terminal.
      stderr.write(`${text.replace(/[^\P{Cc}\n\t]/gu, '?')}\n`)
    },
    progress: text => {
      if (!stderr.isTTY) return
      stderr.write(`${ERASE_LINE}${text.replace(/\p{Cc}/gu, '?')}`)
      isProgressShown = text !== ''
    },
  }
}
