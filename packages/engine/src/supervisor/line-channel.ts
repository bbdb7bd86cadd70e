import type { Duplex } from 'node:stream'

/** Characters of one message; longer ones end the channel. */
const LONGEST_LINE = 4 * 1024 * 1024

/** Bytes that may wait for a process that does not read; beyond them what may be lost is dropped. */
const HIGH_WATER = 16 * 1024 * 1024

type Channelled = Duplex & { unref?: () => unknown }

/** Messages between two processes of one service over a socket pair: one JSON text a line. */
export class LineChannel<Sent, Received> {
  readonly #socket: Channelled
  #rest = ''

  /**
   * @param read turns what was parsed into a message; `undefined` for what is none, which ends the channel
   */
  constructor (socket: Channelled, read: (value: unknown) => Received | undefined, onMessage: (message: Received) => void, onEnd: () => void) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop() as string
      if (this.#rest.length > LONGEST_LINE) socket.destroy()
      for (const line of lines) {
        const message = read(parse(line))
        if (message === undefined) socket.destroy()
        else if (!socket.destroyed) onMessage(message)
      }
    })
    // The end says all: the other process has gone.
    socket.on('error', () => {})
    socket.once('close', onEnd)
    socket.once('end', () => socket.destroy())
  }

  /** From now on it keeps no process alive. */
  unref (): this {
    this.#socket.unref?.()
    return this
  }

  get isOpen (): boolean {
    return !this.#socket.destroyed
  }

  send (message: Sent): void {
    if (this.isOpen) this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /** For what may be lost: `false` if it was, because the other process does not read. */
  offer (message: Sent): boolean {
    if (!this.isOpen || this.#socket.writableLength > HIGH_WATER) return false
    this.send(message)
    return true
  }
}

function parse (line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
