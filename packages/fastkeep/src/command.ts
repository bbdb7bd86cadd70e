import type { ConfigTable, Given } from '@fastkeep/engine'
import type { Terminal } from './terminal.js'

/** What stands behind the name of a command and is no flag. */
export interface Operand {
  readonly name: string
  readonly isOptional?: boolean
  /** The last one: any number of them. */
  readonly isRepeated?: boolean
  /** What a shell proposes: files, or these words. */
  readonly completes?: 'files' | readonly string[]
}

/** A command that was called, its line read and checked. */
export interface Invocation {
  readonly flags: readonly Given[]
  readonly operands: readonly string[]
  readonly terminal: Terminal
}

/** One command: help, completion and the check of its line all come from this. */
export interface Command {
  readonly name: string
  /** One line. */
  readonly summary: string
  /** More of it, for its own help. */
  readonly details?: string
  readonly operands?: readonly Operand[]
  readonly flags: ConfigTable
  /** @returns the exit code */
  run (invocation: Invocation): Promise<number>
}

/** The value of a flag that was given. */
export function flagValue (flags: readonly Given[], path: string): unknown {
  return flags.find(flag => flag.path === path)?.value
}
