/** Reads one thing that a status shows, now; `undefined` leaves it out. */
export type StatusReader = () => unknown

/** ms that one of them may take. */
const PATIENCE = 1_000

/** What the parts of a service know, each under its name. */
export class StatusBoard {
  readonly #readers = new Map<string, StatusReader>()

  /** A later one takes the place of an earlier one of the same name. */
  add (name: string, read: StatusReader): () => void {
    this.#readers.set(name, read)
    return () => { if (this.#readers.get(name) === read) this.#readers.delete(name) }
  }

  /**
   * All of them, asked at the same time; one that fails says so in its own place and hides no other one.
   *
   * @param isLeftOut by name
   */
  async read (isLeftOut: (name: string) => boolean = () => false): Promise<Record<string, unknown>> {
    const wanted = [...this.#readers].filter(([name]) => !isLeftOut(name))
    const entries = await Promise.all(wanted.map(async ([name, read]) => [name, await valueOf(read)] as const))
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
  }
}

async function valueOf (read: StatusReader): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<unknown>(resolve => {
    timer = setTimeout(() => resolve({ failed: `not known after ${PATIENCE} ms` }), PATIENCE).unref()
  })
  try {
    return await Promise.race([Promise.resolve().then(read), tooLate])
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}
