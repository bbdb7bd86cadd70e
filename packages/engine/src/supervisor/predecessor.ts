import { once } from 'node:events'
import { Socket } from 'node:net'
import { takeNote } from './environment-note.js'
import { keptSecrets } from './kept-secrets.js'
import { HANDOVER_NOTE, type HandoverAnswer, type HandoverNote } from './handover-note.js'

/**
 * The process that started this one as its successor, as this one sees it. There is none in a process that was started
 * in any other way.
 */
export class Predecessor {
  readonly note: HandoverNote
  readonly #channel: Socket
  #isTold = false
  readonly #draining = new Map<number, Socket>()

  constructor (note: HandoverNote) {
    this.note = note
    this.#channel = this.#watch(note.channel)
    keptSecrets.take(note.secrets)
    for (const fd of note.draining) this.#watch(fd)
  }

  /** The descriptors that end with the older processes that have not ended yet. */
  get draining (): number[] {
    // A destroyed socket has closed its descriptor before it says so: the number may be a client's connection by now.
    return [...this.#draining].flatMap(([fd, socket]) => socket.destroyed ? [] : fd)
  }

  /** Whether it still serves, and will go on if this process does not come to. */
  get serves (): boolean {
    return !this.#isTold && !this.#channel.destroyed
  }

  /** Tells the predecessor that it can drain: this process serves. Nothing that can fail may come after it. */
  ready (): void {
    if (this.#isTold) return
    this.#isTold = true
    this.#answer({ ready: process.pid })
  }

  failed (reason: string, exitCode: number): void {
    if (this.#isTold) return
    this.#answer({ failed: reason, exitCode })
  }

  /** Resolves when no more than `count` older processes are left. */
  async haveLeft (count: number): Promise<void> {
    while (this.#draining.size > count) {
      await Promise.race([...this.#draining.values()].map(socket => once(socket, 'close')))
    }
  }

  #watch (fd: number): Socket {
    const socket = new Socket({ fd }).on('error', () => {}).unref().resume()
    this.#draining.set(fd, socket)
    socket.once('close', () => this.#draining.delete(fd))
    return socket
  }

  #answer (answer: HandoverAnswer): void {
    this.#channel.write(`${JSON.stringify(answer)}\n`)
  }
}

/** Taken at the first import, before any child of this process could see the note. */
export const predecessor = predecessorOf(takeNote(HANDOVER_NOTE))

function predecessorOf (note: HandoverNote | undefined): Predecessor | undefined {
  try {
    return note === undefined ? undefined : new Predecessor(note)
  } catch {
    // Its descriptors are not there: a note that was left over.
    return undefined
  }
}
