import { channel as diagnosticsChannel, subscribe as subscribeTo, unsubscribe as unsubscribeFrom } from 'node:diagnostics_channel'
import { extname, relative, resolve, sep } from 'node:path'
import { arrayOf, func, optionChecker, string, type Rule } from '@fastkeep/options'
import type { Bus } from '../bus/bus.js'
import { Unit, type Priorities } from '../bus/unit.js'
import { loadedFiles } from './loaded-files.js'
import { AutoreloadBlind, AutoreloadFailed, AutoreloadRefused } from './monitor-errors.js'
import { WatchedFiles } from './watched-files.js'

export interface AutoreloaderOptions {
  /** Only files in this directory count. Default: all that are loaded. */
  root?: string
  /** Files and directories that do not count, relative to `root` or else the working directory. Default: none. */
  ignore?: readonly string[]
  /** Files that count although they are not loaded as modules: configuration, templates. Default: none. */
  files?: readonly string[]
  /** What a change causes. Default: `engine.reload()`. */
  reload?: () => unknown
}

export interface Reloadable {
  reload (): Promise<unknown>
}

export const AUTORELOAD_RULES = {
  root: string(), ignore: arrayOf(string()), files: arrayOf(string()), reload: func,
} satisfies Record<string, Rule>

/** Published by Node from 22 on; on 20 nobody does. */
const LOADED = ['tracing:module.import:asyncEnd', 'tracing:module.require:end'] as const

/** What may be the file that a reload failed for, although the process that runs has not loaded it. */
const SOURCE_EXTENSIONS = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx', '.json'])

/** ms for which nothing must have changed: one save is several changes, a build or a checkout is many. */
const SETTLED = 100

const changed = diagnosticsChannel('fastkeep:engine:autoreload')

const checkOptions = optionChecker('engine')

/**
 * For development: reloads the process when a file that it has loaded changes, from `start` 85 to `stop` 10. No polling:
 * the system tells of changes in the directories of the loaded files.
 *
 * - a file counts if the main thread has loaded it, by `import` or `require`, transpiled or not, and it is in no
 *   `node_modules`; or if it is among `files`
 * - data that an ES module imports as JSON or text counts only if it is among `files`
 * - on Node 20 a file that is first loaded while the service runs, from a directory with no loaded file, counts only
 *   after another change
 * - the time of modification, the size and the inode tell a change; one made before `start` 85 is not seen
 * - a reload that fails is logged with `FST_KEEP_ENGINE_AUTORELOAD_FAILED` and the process goes on; then any source
 *   file in the watched directories causes the next one, since the broken file may be one that this process never loaded
 *
 * Each change is logged and published on `fastkeep:engine:autoreload` as `{ bus, files }`.
 *
 * @throws `FST_KEEP_ENGINE_AUTORELOAD_REFUSED` with `exitCode` 78: NODE_ENV is `production`; and at the start, where Node
 * has no inspector or denies it
 * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN`, `FST_KEEP_ENGINE_OPTION_INVALID`
 * @example if (process.env.NODE_ENV !== 'production') new Autoreloader(engine, { files: ['.env'] }).subscribe()
 */
export class Autoreloader {
  readonly #bus: Bus
  readonly #reload: () => unknown
  readonly #root: string | undefined
  readonly #ignore: readonly string[]
  readonly #files: readonly string[]
  readonly #seenLoads = new Set<string>()
  readonly #unit: Unit<'start' | 'stop'>
  #watched: WatchedFiles | undefined
  #touched = new Set<string>()
  #hasLoaded = false
  #isReloading = false
  #hasFailed = false
  #timer: NodeJS.Timeout | undefined

  constructor (engine: Bus & Reloadable, options: AutoreloaderOptions = {}) {
    checkOptions(options, AUTORELOAD_RULES)
    if (process.env.NODE_ENV === 'production') {
      throw new AutoreloadRefused('NODE_ENV is "production", and there a change of files is not the moment for new code; leave the Autoreloader out')
    }
    const base = options.root ?? '.'
    this.#bus = engine
    this.#unit = new Unit(engine, 'Autoreloader', {
      start: { channel: 'start', priority: 85, run: () => this.#watch() },
      stop: { channel: 'stop', priority: 10, run: () => this.#end() },
    })
    this.#reload = options.reload ?? (() => engine.reload())
    this.#root = options.root === undefined ? undefined : resolve(options.root)
    this.#ignore = (options.ignore ?? []).map(path => resolve(base, path))
    this.#files = (options.files ?? []).map(path => resolve(base, path))
  }

  /** Watches from the next start of the bus on; on a bus that is STARTED already, from now on. */
  subscribe (priorities?: Priorities<'start' | 'stop'>): this {
    if (this.#unit.isSubscribed) return this
    this.#unit.subscribe(priorities)
    if (this.#bus.state === 'STARTED') this.#watch()
    return this
  }

  /** Leaves the bus and watches nothing any more. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
    this.#end()
  }

  #watch (): void {
    this.#watched = new WatchedFiles(file => this.#touch(file), (directory, cause) => this.#blind(directory, cause))
    this.#note()
    for (const channel of LOADED) subscribeTo(channel, this.#onLoad)
  }

  #end (): void {
    for (const channel of LOADED) unsubscribeFrom(channel, this.#onLoad)
    clearTimeout(this.#timer)
    this.#watched?.close()
    this.#watched = undefined
    this.#touched.clear()
  }

  /** Has the files watched that have been loaded since the last time. */
  #note (): void {
    this.#hasLoaded = false
    this.#watched?.add([...loadedFiles()].filter(file => this.#counts(file)))
    this.#watched?.add(this.#files)
  }

  #counts (file: string): boolean {
    if (file.includes(`${sep}node_modules${sep}`)) return false
    return (this.#root === undefined || isIn(file, this.#root)) && !this.#ignore.some(path => isIn(file, path))
  }

  readonly #onLoad = (message: unknown): void => {
    const { parentURL, url, parentFilename, id } = message as Partial<Record<'parentURL' | 'url' | 'parentFilename' | 'id', string>>
    const load = `${parentURL ?? parentFilename} ${url ?? id}`
    if (this.#seenLoads.has(load)) return
    this.#seenLoads.add(load)
    this.#hasLoaded = true
    this.#lookSoon()
  }

  #touch (file: string): void {
    this.#touched.add(file)
    this.#lookSoon()
  }

  #lookSoon (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(), SETTLED).unref()
  }

  #look (): void {
    if (this.#watched === undefined || this.#isReloading) return
    // What Node has told of was loaded as it is now; what is unknown after that was touched after it had been loaded.
    if (this.#hasLoaded) this.#note()
    if (this.#touched.size === 0) return
    const watched = this.#watched
    const known = new Set(watched.files)
    const touched = [...this.#touched]
    this.#touched.clear()
    this.#note()
    const files = touched.filter(file => watched.hasChanged(file) || (watched.has(file) && !known.has(file)) || this.#mayMend(file))
    if (files.length > 0) this.#run(files).catch(() => {})
  }

  #mayMend (file: string): boolean {
    return this.#hasFailed && this.#counts(file) && SOURCE_EXTENSIONS.has(extname(file))
  }

  async #run (files: readonly string[]): Promise<void> {
    this.#isReloading = true
    const named = files.slice(0, 5).map(file => relative(this.#root ?? '.', file)).join(', ')
    this.#bus.log(`Reloading because of changes: ${files.length > 5 ? `${named}, ...` : named}`)
    changed.publish({ bus: this.#bus, files })
    try {
      await this.#reload()
      this.#hasFailed = false
    } catch (cause) {
      this.#hasFailed = true
      const error = new AutoreloadFailed(cause instanceof Error ? cause.message : String(cause), { cause })
      this.#bus.log(error.message, 'error', error)
    }
    this.#isReloading = false
    if (this.#touched.size > 0) this.#lookSoon()
  }

  #blind (directory: string, cause: Error): void {
    const error = new AutoreloadBlind(directory, cause.message, { cause })
    this.#bus.log(error.message, 'warn', error)
  }
}

function isIn (file: string, directory: string): boolean {
  return file === directory || file.startsWith(directory.endsWith(sep) ? directory : directory + sep)
}
