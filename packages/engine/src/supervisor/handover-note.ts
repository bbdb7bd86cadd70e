import type { HandedSocket } from '../server/inherited-sockets.js'

/** What a process tells its successor through the environment. All numbers but `parent` are descriptors. */
export interface HandoverNote {
  /** The pid of the process that wrote it: it is for that one's child alone. */
  readonly parent: number
  /** Over which the successor says that it is ready, and which ends when the parent does. */
  readonly channel: number
  /** From which its passphrases are read. */
  readonly secrets: number
  /** The like of older processes that still drain. */
  readonly draining: readonly number[]
  readonly sockets: readonly HandedSocket[]
  /** Held by parts of the engine, e.g. the lock of the PID file. */
  readonly descriptors: Readonly<Record<string, number>>
  /** With which it is to run when it serves; until then it may have less. */
  readonly priority: number
}

/** The successor's answer, one line of JSON. */
export type HandoverAnswer = { readonly ready: number } | { readonly failed: string, readonly exitCode: number }

export const HANDOVER_NOTE = 'FASTKEEP_HANDOVER'
