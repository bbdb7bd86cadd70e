import { lstatSync, readlinkSync, statSync, watch, type FSWatcher } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { systemCode } from './errors.js'

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
    const wanted = new Set(paths.flatMap(directoriesOnTheWayTo))
    for (const [directory, { watcher, inode }] of this.#watchers) {
      // One that was removed and made anew is another one, of which the watcher knows nothing.
      if (wanted.has(directory) && inode === inodeOf(directory)) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#begin(directory)
  }

  close (): void {
    clearTimeout(this.#timer)
    for (const { watcher } of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
    this.#paths = []
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
      // Links may lead elsewhere now, and a directory may have been replaced.
      this.watch(this.#paths)
      this.#onChange()
    }, this.#settle)
    this.#timer.unref()
  }
}

function inodeOf (directory: string): number | undefined {
  return statSync(directory, { throwIfNoEntry: false })?.ino
}

/** The directory of the file, and those of all links that lead to it, links among its parents included. */
function directoriesOnTheWayTo (path: string): string[] {
  const directories = new Set<string>()
  let current = resolve(path)
  for (let links = 0; links < longestChain; links++) {
    directories.add(dirname(current))
    const link = firstLink(current)
    if (link === undefined) break
    directories.add(dirname(link.path))
    current = resolve(dirname(link.path), link.target) + current.slice(link.path.length)
  }
  return [...directories]
}

/** The first part of a path that is a symbolic link. */
function firstLink (path: string): { path: string, target: string } | undefined {
  const parts = path.split('/')
  for (let count = 2; count <= parts.length; count++) {
    const part = parts.slice(0, count).join('/')
    try {
      if (lstatSync(part).isSymbolicLink()) return { path: part, target: readlinkSync(part) }
    } catch {
      return undefined
    }
  }
  return undefined
}
