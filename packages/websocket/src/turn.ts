import { Batch } from './batch.js'

/** Who has something to write when the turn is over. */
export interface Writer {
  flush (): void
}

/** One turn of the event loop: what is published within it is written at its end, to each socket at once. */
export class Turn {
  #begun: Batch | undefined
  #writers: Writer[] = []

  /** Flushes the writer at the end of this turn. @returns the empty batch that all of this turn begin with */
  join (writer: Writer): Batch {
    if (this.#begun === undefined) {
      this.#begun = new Batch()
      setImmediate(() => this.#end())
    }
    this.#writers.push(writer)
    return this.#begun
  }

  #end (): void {
    const writers = this.#writers
    this.#begun = undefined
    this.#writers = []
    for (const writer of writers) writer.flush()
  }
}
