import type { HandedSocket } from '../server/inherited-sockets.js'
import type { Target } from '../plugins/become-user.js'
import type { EnvironmentNote } from './environment-note.js'
import type { SecretsBundle } from './kept-secrets.js'

/** What a supervisor tells a worker through the environment. */
export interface WorkerNote extends EnvironmentNote {
  /** The descriptor of the worker's end of the channel. */
  readonly channel: number
  /** The descriptor that its secrets are read from. */
  readonly secrets: number
  /** Which of the workers it is, from 1; the one that takes its place has the same. */
  readonly slot: number
  readonly sockets: readonly HandedSocket[]
  /** Whom to become before any code of the program runs. */
  readonly target?: Target
  readonly umask?: number
  /** ms of a blocked event loop after which its stack is told. */
  readonly toldAfter: number
}

export const WORKER_NOTE = 'FASTKEEP_WORKER'

/** How a worker does. */
export interface WorkerStats {
  /** Bytes. */
  readonly memory: number
  /** ms by which the event loop was late when this was measured. */
  readonly eventLoopDelay: number
  /** Since the worker began. */
  readonly requests: number
  readonly connections: number
  /** Whether it leaves new connections to the others, because it has more than its share. */
  readonly isPaused: boolean
}

/** What the app of a worker has added to its status. */
export type StatusParts = Readonly<Record<string, unknown>>

export type WorkerMessage =
  | { readonly type: 'ready', readonly urls: readonly string[], readonly keepAliveTimeout: number, readonly longestStop: number, readonly longestDrain: number }
  | { readonly type: 'failed', readonly message: string, readonly exitCode: number }
  | { readonly type: 'beat', readonly stats: WorkerStats }
  /** It drains and exits without having been told to, e.g. because somebody has sent it a signal. */
  | { readonly type: 'leaving' }
  | { readonly type: 'graceful', readonly failure?: string }
  | { readonly type: 'status', readonly parts: StatusParts }
  | PeerMessage

export type SupervisorMessage =
  /** Before `graceful`: they may have changed. */
  | { readonly type: 'secrets', readonly secrets: SecretsBundle }
  /** Another worker serves in its place: drain for as long as clients were promised, and exit. */
  | { readonly type: 'retire' }
  /** Drain and exit. */
  | { readonly type: 'stop' }
  /** The deadline of the drain that is under way has come. */
  | { readonly type: 'hurry' }
  | { readonly type: 'graceful' }
  | { readonly type: 'share', readonly most: number }
  /** The parts of its status that its app has added are wanted. */
  | { readonly type: 'status' }
  | PeerMessage

/** From one worker to all others. */
export interface PeerMessage {
  readonly type: 'peer'
  readonly topic: string
  readonly data: unknown
}

/** With another handle of a socket, by which a worker accepts again: the only message that comes by Node's own channel. */
export interface AcceptMessage {
  readonly fastkeep: 'accept'
  /** Which of the `sockets` of its note. */
  readonly socket: number
}
