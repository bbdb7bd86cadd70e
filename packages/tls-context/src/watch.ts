import { lstatSync, readlinkSync, statSync, watch, type FSWatcher } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { systemCode } from './errors.js'
import { runAtOnce, runInSlices } from './slices.js'

const longestChain = 32

/**
 * Calls `onChange` after a change of one of the files, however it is made: written in place, replaced by a rename, or
 * reached through links of which one now leads elsewhere. Each directory on the way is watched, since a watched file
 * tells nothing of these. Changes that come close together are one. Polls nothing, keeps no process alive.
 */
export class FileWatcher {
  readonly #onChange: () => void
  readonly #onFailure: (path: string, code: string) => void
  readonly #settle: number
  #paths: readonly string[] = []
  #watchers = new Map<string, { watcher: FSWatcher, inode: number | undefined }>()
  #timer: NodeJS.Timeout | undefined

  /** @param settle ms without a further change, so that a certificate and its key have both arrived */
  constructor ({ onChange, onFailure, settle = 100 }: { onChange (): void, onFailure (path: string, code: string): void, settle?: number }) {
    this.#onChange = onChange
    this.#onFailure = onFailure
    this.#settle = settle
  }

  watch (paths: readonly string[]): void {
    this.#paths = paths
    this.#watchDirectories(runAtOnce(directoriesOnTheWayTo(paths)))
  }

  /** The same, when links may have changed, without holding up others for long. */
  async watchAgain (paths = this.#paths): Promise<void> {
    this.#paths = paths
    const directories = await runInSlices(directoriesOnTheWayTo(paths))
    if (this.#paths === paths) this.#watchDirectories(directories)
  }

  close (): void {
    clearTimeout(this.#timer)
    for (const { watcher } of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
    this.#paths = []
  }

  #watchDirectories (wanted: ReadonlySet<string>): void {
    for (const [directory, { watcher, inode }] of this.#watchers) {
      // One that was removed and made anew is another one, of which the watcher knows nothing.
      if (wanted.has(directory) && inode === inodeOf(directory)) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#begin(directory)
  }

  #begin (directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#changed())
      watcher.on('error', error => {
        this.#watchers.delete(directory)
        watcher.close()
        this.#onFailure(directory, systemCode(error))
        this.#changed()
      })
      this.#watchers.set(directory, { watcher, inode: inodeOf(directory) })
    } catch (error) {
      this.#onFailure(directory, systemCode(error))
    }
  }

  #changed (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      // Links may lead elsewhere now, and a directory may have been replaced. It rejects for nothing.
      this.watchAgain().then(() => { if (this.#paths.length > 0) this.#onChange() }, () => {})
    }, this.#settle)
    this.#timer.unref()
  }
}

function inodeOf (directory: string): number | undefined {
  return statSync(directory, { throwIfNoEntry: false })?.ino
}

/**
 * The directories of the files, and those of all links that lead to them, links among their parents included. In place of
 * a directory that is not there, the one in which it, or one above it, will be made.
 */
function * directoriesOnTheWayTo (paths: readonly string[]): Generator<undefined, ReadonlySet<string>> {
  const directories = new Set<string>()
  /** Where a path leads, or `null` where it is no link; many files share their parents. */
  const links = new Map<string, string | null | undefined>()
  const linkAt = (path: string): string | null | undefined => {
    if (!links.has(path)) links.set(path, readLink(path))
    return links.get(path)
  }
  for (const path of paths) {
    let current = resolve(path)
    for (let count = 0; count < longestChain; count++) {
      const { there, target } = followed(current, linkAt)
      directories.add(dirname(there))
      if (target === undefined) break
      current = resolve(dirname(there), target) + current.slice(there.length)
    }
    yield
  }
  return directories
}

/** The first part of a path that is a link or is not there, or the whole of it; and where that link leads. */
function followed (path: string, linkAt: (path: string) => string | null | undefined): { there: string, target?: string } {
  const parts = path.split('/')
  for (let count = 2; count <= parts.length; count++) {
    const there = parts.slice(0, count).join('/')
    const target = linkAt(there)
    if (target === undefined) return { there }
    if (target !== null) return { there, target }
  }
  return { there: path }
}

/** `undefined`: there is nothing. */
function readLink (path: string): string | null | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null
  } catch {
    return undefined
  }
}
