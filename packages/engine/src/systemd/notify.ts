import { write } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** `VARIABLE: value`, e.g. `{ READY: 1, STATUS: 'Serving' }`. */
export type Notification = Readonly<Record<string, string | number>>

/** The program that can send datagrams, as Node cannot. */
const HELPER = 'systemd-notify'
/** ms for it; it waits up to 5 s itself, until the service manager has read the message. */
const HELPER_TIMEOUT = 6_000
/** A queue of datagrams that is full: how often, and after how many ms, to try again. */
const RETRIES = 20
const RETRY_DELAY = 50
/** Characters of a value; the service manager reads datagrams of 4,096 bytes. */
const LONGEST_VALUE = 900

/** One message, an assignment a line. A line break in a value would be a further assignment. */
export function assignments (notification: Notification): string[] {
  return Object.entries(notification).map(([name, value]) => `${name}=${String(value).replace(/\p{C}+/gu, ' ').slice(0, LONGEST_VALUE)}`)
}

/**
 * The way to the service manager: a connected datagram descriptor that it has passed, else the program `systemd-notify`.
 * Messages arrive in the order in which they were sent. What cannot be delivered is told once to `onFailure`, for
 * nothing that the service does depends on it.
 *
 * The program waits until its message has been read: before it has ended the service manager can tell whose message it
 * is, and it must not outlive this process, whose end it would delay.
 */
export class Notify {
  readonly #socket: string
  readonly #onFailure: (why: string) => void
  #fd: number | undefined
  #hasFailed = false
  #last: Promise<void> = Promise.resolve()

  /**
   * @param socket `NOTIFY_SOCKET`
   * @param fd connected to it, if there is one
   */
  constructor (socket: string, fd: number | undefined, onFailure: (why: string) => void) {
    this.#socket = socket
    this.#fd = fd
    this.#onFailure = onFailure
  }

  /** The descriptor, for a successor; `undefined` where there is none that works. */
  get fd (): number | undefined {
    return this.#fd
  }

  /** Resolves when it has been delivered, or cannot be. */
  send (notification: Notification): Promise<void> {
    this.#last = this.#last.then(() => this.#deliver(assignments(notification)))
    return this.#last
  }

  /** Resolves when nothing is on its way any more. */
  settled (): Promise<void> {
    return this.#last
  }

  async #deliver (lines: readonly string[]): Promise<void> {
    try {
      if (this.#fd !== undefined && await this.#write(this.#fd, lines.join('\n'))) return
      const { promisify } = process.getBuiltinModule('node:util')
      const { execFile } = process.getBuiltinModule('node:child_process')
      await promisify(execFile)(HELPER, [...lines], { env: { PATH: process.env.PATH, NOTIFY_SOCKET: this.#socket }, timeout: HELPER_TIMEOUT })
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException & { stderr?: string })
    }
  }

  /** `false` for a descriptor that is of no use. */
  async #write (fd: number, message: string): Promise<boolean> {
    const writeTo = process.getBuiltinModule('node:util').promisify(write)
    for (let attempt = 0; attempt <= RETRIES; attempt++) {
      try {
        await writeTo(fd, message)
        return true
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EAGAIN' || code === 'ENOBUFS') {
          await delay(RETRY_DELAY)
          continue
        }
        this.#fd = undefined
        return false
      }
    }
    return false
  }

  #fail ({ code, message, stderr }: { code?: string | number, message: string, stderr?: string }): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#onFailure(code === 'ENOENT'
      ? `there is no program ${HELPER}; install systemd's, or pass its socket to the unit with OpenFile=${this.#socket}:notify (systemd 253)`
      : (stderr ?? '').trim() || message)
  }
}
