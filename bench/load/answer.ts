import { Lost } from './tally.js'

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** Reads one HTTP/1.1 answer as it comes (RFC 9112, sections 6 and 7), with a length or in chunks. */
export class Answer {
  status = 0
  /** Whether the connection may be used again. */
  mayStay = true
  isWhole = false
  hasBegun = false
  readonly #onBody: (bytes: Buffer) => void
  #unread: Buffer = Buffer.alloc(0)
  #read: () => boolean = () => this.#head()
  /** Bytes that are missing of the body or of the chunk. */
  #missing = 0

  constructor (onBody: (bytes: Buffer) => void) {
    this.#onBody = onBody
  }

  /** @throws Lost for what is not an answer */
  push (bytes: Buffer): void {
    this.hasBegun = true
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    while (!this.isWhole && this.#read());
    if (this.isWhole && this.#unread.length > 0) throw new Lost('corrupt')
  }

  #head (): boolean {
    const end = this.#unread.indexOf(END_OF_HEAD)
    if (end === -1) return false
    const head = this.#unread.toString('latin1', 0, end)
    if (!head.startsWith('HTTP/1.1 ')) throw new Lost('corrupt')
    this.#unread = this.#unread.subarray(end + END_OF_HEAD.length)
    this.status = Number(head.slice(9, 12))
    this.mayStay = !/^connection:[^\r\n]*\bclose\b/im.test(head)
    if (/^transfer-encoding:\s*chunked/im.test(head)) {
      this.#read = () => this.#chunkHead()
    } else {
      this.#missing = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0)
      this.#read = () => this.#body(() => { this.isWhole = true })
      this.isWhole = this.#missing === 0
    }
    return true
  }

  #body (done: () => void): boolean {
    if (this.#unread.length === 0) return false
    const part = this.#unread.subarray(0, this.#missing)
    this.#unread = this.#unread.subarray(part.length)
    this.#missing -= part.length
    this.#onBody(part)
    if (this.#missing === 0) done()
    return true
  }

  #chunkHead (): boolean {
    const line = this.#line()
    if (line === undefined) return false
    this.#missing = Number.parseInt(line, 16)
    if (!Number.isInteger(this.#missing)) throw new Lost('corrupt')
    if (this.#missing === 0) this.#read = () => this.#trailer()
    else this.#read = () => this.#body(() => { this.#read = () => this.#chunkEnd() })
    return true
  }

  #chunkEnd (): boolean {
    if (this.#line() === undefined) return false
    this.#read = () => this.#chunkHead()
    return true
  }

  #trailer (): boolean {
    const line = this.#line()
    if (line === '') this.isWhole = true
    return line !== undefined
  }

  #line (): string | undefined {
    const end = this.#unread.indexOf('\r\n')
    if (end === -1) return undefined
    const line = this.#unread.toString('latin1', 0, end)
    this.#unread = this.#unread.subarray(end + 2)
    return line
  }
}
