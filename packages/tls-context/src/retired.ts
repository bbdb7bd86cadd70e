/** Of a name's context, key and certificate OpenSSL's memory is freed in some 0.1 ms. */
const fewest = 20

/**
 * Lets go of what is no longer used a little at a time. V8 frees at once whatever it finds unreachable, and with it
 * OpenSSL's memory: after a reload of many names that would hold up everybody.
 */
export class Retired {
  #waiting: object[] = []
  readonly #collected = new FinalizationRegistry(() => this.#letGo())
  #isWaiting = false

  add (objects: readonly object[]): void {
    this.#waiting.push(...objects)
    if (!this.#isWaiting) this.#letGo()
  }

  /** A part, and the next one after the collection that has freed it; the larger the more there are. */
  #letGo (): void {
    this.#waiting.splice(0, Math.max(fewest, Math.floor(this.#waiting.length / 10)))
    this.#isWaiting = this.#waiting.length > 0
    if (this.#isWaiting) this.#collected.register({}, undefined)
  }
}
