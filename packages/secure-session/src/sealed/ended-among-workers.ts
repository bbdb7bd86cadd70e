import { randomBytes } from 'node:crypto'
import type { End, EndedSessions } from './ended-sessions.js'

/** The part of the engine's `peers` that is used. */
export interface Peers {
  /** @returns false if it was dropped */
  send (topic: string, data: unknown): boolean
  on (topic: string, listener: (data: unknown) => void): () => void
}

export interface EndedAmongWorkersOptions {
  readonly peers: Peers
  /** The same in all workers for one session of the application. */
  readonly topic: string
  readonly ended: EndedSessions
  /** Another worker has ended a session. */
  readonly onEnd: (id: string, end: End) => void
  /** Some ends did not reach all workers. */
  readonly onLoss: () => void
}

/** How long (ms) a worker that starts waits for one that has the list: there may be none. */
const LONGEST_SILENCE = 200

/** How long (ms) it waits for the list to be complete. */
const LONGEST_LESSON = 2000

/** Ends in one message: about 40 KiB of JSON. */
const BATCH = 500

type Entry = readonly [id: string, from: number, until: number]

interface Message {
  readonly type: 'ask' | 'have' | 'give' | 'ends'
  readonly sender: string
  readonly to?: string
  readonly ends?: readonly Entry[]
  readonly isLast?: boolean
}

/**
 * Tells the other workers of the same supervisor which sealed sessions have ended, and learns from one of them, before
 * this worker serves, which had ended before it was there: it asks who has the list, and has it sent by the first that answers.
 */
export class EndedAmongWorkers {
  readonly #options: EndedAmongWorkersOptions
  readonly #name = randomBytes(9).toString('base64url')
  readonly #stopListening: () => void
  readonly #complete: Promise<void>
  #setComplete = (): void => {}
  #hasList = false
  #teacher: string | undefined

  constructor (options: EndedAmongWorkersOptions) {
    this.#options = options
    this.#complete = new Promise(resolve => { this.#setComplete = resolve })
    this.#stopListening = options.peers.on(options.topic, data => this.#receive(data as Message))
  }

  tell (id: string, { from, until }: End): void {
    if (!this.#send({ type: 'ends', ends: [[id, from, until]] })) this.#options.onLoss()
  }

  /** Resolves when the list is there, or when nobody has it. */
  async learn (): Promise<void> {
    this.#send({ type: 'ask' })
    const isThere = await isDone(this.#complete, LONGEST_SILENCE)
    if (!isThere && this.#teacher !== undefined && !await isDone(this.#complete, LONGEST_LESSON)) this.#options.onLoss()
    this.#hasList = true
  }

  close (): void {
    this.#stopListening()
  }

  #receive ({ type, sender, to, ends = [], isLast = false }: Message): void {
    // What was sent to another is of use all the same.
    for (const [id, from, until] of ends) this.#options.onEnd(id, { from, until })
    if (type === 'ask' && this.#hasList) this.#send({ type: 'have', to: sender })
    if (to !== this.#name) return
    if (type === 'have' && this.#teacher === undefined) {
      this.#teacher = sender
      this.#send({ type: 'give', to: sender })
    }
    if (type === 'give') this.#give(sender)
    if (isLast) this.#setComplete()
  }

  #give (to: string): void {
    const { ended, onLoss } = this.#options
    const entries = ended.entries()
    for (let start = 0; start === 0 || start < entries.length; start += BATCH) {
      const ends = entries.slice(start, start + BATCH)
      if (!this.#send({ type: 'ends', to, ends, isLast: start + BATCH >= entries.length })) return onLoss()
    }
  }

  #send (message: Omit<Message, 'sender'>): boolean {
    const { peers, topic } = this.#options
    return peers.send(topic, { sender: this.#name, ...message } satisfies Message)
  }
}

/** @param timeout ms; its timer keeps the process alive, which does not serve yet */
async function isDone (promise: Promise<void>, timeout: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const isLate = new Promise<false>(resolve => { timer = setTimeout(() => resolve(false), timeout) })
  try {
    return await Promise.race([promise.then(() => true), isLate])
  } finally {
    clearTimeout(timer)
  }
}
