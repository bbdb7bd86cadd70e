import { type Test } from 'tap'
import { type SpawnOptions } from 'node:child_process'
import { Child } from './child.js'

/** Runs a command on a terminal of its own, and ends with its exit code. */
const ON_TERMINAL = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

/**
 * A process with a controlling terminal: what is typed is written to `process.stdin`, what the terminal shows, echo
 * included, is its output. Needs python3.
 */
export function onTerminal (t: Test, command: string, args: readonly string[], options: SpawnOptions = {}): Child {
  return new Child(t, 'python3', ['-c', ON_TERMINAL, command, ...args], { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
}
