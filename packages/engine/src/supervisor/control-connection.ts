import type { Socket } from 'node:net'
import { exitCodeOf } from '../exit-codes.js'
import { ControlRequestInvalid } from './control-errors.js'
import { LONGEST_REQUEST, type ControlAnswer, type ControlProgress } from './control-protocol.js'

/** ms for a request to arrive, and for an answer to be taken. */
const PATIENCE = 5_000

/** Bytes that a client has not read: beyond them it gets no more progress. */
const MOST_UNREAD = 65_536

/** One client of the control socket. Nothing that it sends, or does not read, disturbs the service. */
export class ControlConnection {
  readonly #socket: Socket

  constructor (socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {}).unref().setEncoding('utf8')
  }

  /**
   * The first line; what comes after it is passed over.
   *
   * @throws `FST_KEEP_ENGINE_CONTROL_REQUEST_INVALID` for one that is too long, or not complete in time
   */
  async readLine (): Promise<string> {
    let text = ''
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => done(), PATIENCE).unref()
      const onData = (chunk: string): void => {
        text += chunk
        if (text.includes('\n') || text.length > LONGEST_REQUEST) done()
      }
      const done = (): void => {
        clearTimeout(timer)
        this.#socket.off('data', onData).off('end', done).off('close', done)
        resolve()
      }
      this.#socket.on('data', onData).on('end', done).on('close', done)
    })
    // Without that the end of the connection would not be seen.
    this.#socket.resume()
    const end = text.indexOf('\n')
    if (end === -1 || end > LONGEST_REQUEST) {
      throw new ControlRequestInvalid(`one line of at most ${LONGEST_REQUEST} bytes must come within ${PATIENCE} ms`)
    }
    return text.slice(0, end)
  }

  progress (progress: ControlProgress): void {
    if (this.#socket.writable && this.#socket.writableLength < MOST_UNREAD) this.#socket.write(lineOf({ progress }))
  }

  /** Says how it ended, and closes the connection. */
  close (answer: ControlAnswer): void {
    this.#socket.end(lineOf(answer))
    setTimeout(() => this.#socket.destroy(), PATIENCE).unref()
  }

  /** Says how it ended, and leaves the connection to end with the process; resolves when the system has the line. */
  async leave (answer: ControlAnswer): Promise<void> {
    await new Promise<void>(resolve => {
      setTimeout(resolve, PATIENCE).unref()
      this.#socket.write(lineOf(answer), () => resolve())
    })
  }
}

/** The answer that tells a failure. */
export function failureOf (error: unknown): ControlAnswer {
  const { code = 'FST_KEEP_ENGINE_CONTROL_FAILED', message = String(error) } = (error ?? {}) as { code?: string, message?: string }
  return { ok: false, code, message, exitCode: exitCodeOf(error) }
}

function lineOf (value: unknown): string {
  return `${JSON.stringify(value)}\n`
}
