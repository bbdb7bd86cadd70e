import { lstatSync, statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Files whose directories the system watches: a directory outlives the files in it, which editors replace when they
 * save. Keeps no process alive.
 */
export class WatchedFiles {
  readonly #onTouch: (file: string) => void
  readonly #onBlind: (directory: string, cause: Error) => void
  /** What each file was like when it was last looked at. */
  readonly #signatures = new Map<string, string>()
  readonly #watchers = new Map<string, FSWatcher>()

  /**
   * @param onTouch gets the path of anything that something has happened to in a directory of a watched file
   * @param onBlind gets a directory that cannot be watched, and why
   */
  constructor (onTouch: (file: string) => void, onBlind: (directory: string, cause: Error) => void) {
    this.#onTouch = onTouch
    this.#onBlind = onBlind
  }

  get files (): string[] {
    return [...this.#signatures.keys()]
  }

  has (file: string): boolean {
    return this.#signatures.has(file)
  }

  /** Adds the files that are not there yet, as they are now, and watches all their directories. */
  add (files: Iterable<string>): void {
    for (const file of files) {
      if (!this.#signatures.has(file)) this.#signatures.set(file, signatureOf(file))
    }
    // New ones, and such as were removed and made again.
    for (const directory of new Set(this.files.map(file => dirname(file)))) this.#watch(directory)
  }

  /** Whether a watched file is not what it was at the last look; this one counts as that. */
  hasChanged (file: string): boolean {
    const before = this.#signatures.get(file)
    if (before === undefined) return false
    const now = signatureOf(file)
    this.#signatures.set(file, now)
    return now !== before
  }

  close (): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #watch (directory: string): void {
    if (this.#watchers.has(directory) || !isThere(directory)) return
    try {
      const watcher = watch(directory, { persistent: false }, (_event, name) => this.#happened(directory, name))
      watcher.on('error', () => this.#forget(directory))
      this.#watchers.set(directory, watcher)
    } catch (error) {
      this.#onBlind(directory, error as Error)
    }
  }

  #happened (directory: string, name: string | null): void {
    // Not every system says which file it was.
    const names = name === null ? this.files.filter(file => dirname(file) === directory) : [join(directory, name)]
    // The watch of a directory that was removed, which is told by its own name, sees nothing of one made in its place.
    if (name === basename(directory) || !isThere(directory)) {
      this.#forget(directory)
      names.push(...this.files.filter(file => dirname(file) === directory))
    }
    for (const file of names) this.#onTouch(file)
  }

  #forget (directory: string): void {
    this.#watchers.get(directory)?.close()
    this.#watchers.delete(directory)
  }
}

function isThere (directory: string): boolean {
  return lstatSync(directory, { throwIfNoEntry: false }) !== undefined
}

function signatureOf (file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? 'absent' : `${stats.mtimeNs} ${stats.size} ${stats.ino}`
}
