import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import { closeSync, fstatSync, lstatSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Unit, type Priorities } from '../bus/unit.js'
import type { Engine } from '../engine.js'
import { Handover } from '../supervisor/handover.js'
import { type Claim, isOurs, mayBeAt, remove, rewrite, takeOver, tryToClaim } from './pid-file-claim.js'
import { asPIDFileError, PIDFileHeld, PIDFileRefused } from './pid-file-errors.js'
import { type Lock, lockOfInherited } from './pid-file-lock.js'
import { OPEN_FLAGS } from './read-pid-file.js'

export interface PIDFileOptions {
  /**
   * The predecessor's {@link PIDFile.fd}, under the number that it has in this process. The file is then taken over
   * from the predecessor when everything here is ready, instead of claimed at the start. Default: what a restart in
   * place hands over.
   */
  inheritedFd?: number
}

const changed = diagnosticsChannel('fastkeep:engine:pid-file')

/** ms for which a lock is waited for whose holder the file does not name: it is starting, stopping, or only looks. */
const PATIENCE = 1_000
const RETRY_INTERVAL = 20

/**
 * Claims a PID file for this process: one line, mode 0644, there from `start` 70, before ports are touched, to `exit`
 * 75. While it is there, no second process can claim it; a stop and a start of the same bus keep it.
 *
 * - held: the process that the file names runs and is old enough to have written it, or the lock is held
 * - stale, and replaced: it is empty, or its process does not exist, or is younger than the file
 * - refused, and left alone: symbolic and hard links, directories, FIFOs, sockets, devices, and any other content
 * - removed at the end if it is still this process's own file, also when something calls `process.exit()`; emptied if
 *   the user may not remove it any more
 *
 * The lock is flock(2)'s, by the program flock(1), or on macOS and the BSDs by O_EXLOCK. Without either, PID and start
 * time decide alone.
 *
 * @throws at the start, all with `exitCode` 73: `FST_KEEP_ENGINE_PID_FILE_HELD`, `FST_KEEP_ENGINE_PID_FILE_REFUSED`,
 * `FST_KEEP_ENGINE_PID_FILE_UNUSABLE`
 * @example new PIDFile(engine, '/run/app/app.pid').subscribe()
 */
export class PIDFile {
  /** Absolute; a relative path counts from the working directory in which the object was made. */
  readonly path: string
  readonly #engine: Engine
  #inheritedFd: number | undefined
  #claim: Claim | undefined
  readonly #unit: Unit<'start' | 'ready' | 'exit'>

  constructor (engine: Engine, path: string, { inheritedFd }: PIDFileOptions = {}) {
    if (path === '') throw new PIDFileRefused('""', 'it has no name')
    this.path = resolve(path)
    this.#engine = engine
    this.#inheritedFd = inheritedFd ?? Handover.inherited(this.#part)
    this.#unit = new Unit(engine, 'PIDFile', {
      start: { channel: 'start', priority: 70, run: () => this.#inheritedFd === undefined ? this.claim() : this.#checkInherited(this.#inheritedFd) },
      ready: { channel: 'ready', priority: 90, run: () => this.#inheritedFd === undefined ? undefined : this.#takeOver(this.#inheritedFd) },
      exit: { channel: 'exit', priority: 75, run: () => this.release() },
    })
  }

  /** What the file is called in a restart in place. */
  get #part (): string {
    return `PID file ${this.path}`
  }

  /**
   * The descriptor that holds the file and its lock, to be put into the `stdio` of a successor, which gives it to its
   * own PIDFile as `inheritedFd`; `undefined` while the file is not claimed. From the moment that the successor has
   * taken the file over, {@link release} here leaves it alone. Until then a process that ends must first have ended its
   * successor; one whose successor ended afterwards calls {@link claim} again.
   */
  get fd (): number | undefined {
    return this.#claim?.fd
  }

  /** Claims at `start` 70, or takes over at `ready` 90, the last thing before others are told; releases at `exit` 75. */
  subscribe (priorities?: Priorities<'start' | 'ready' | 'exit'>): this {
    this.#unit.subscribe(priorities)
    this.#engine.handover.keep(this.#part, this)
    this.#engine.addStatus('pidFile', () => this.path)
    return this
  }

  /** A successor that may have taken the file has ended: it is this process's again, without a moment when it is not there. */
  async takeBack (): Promise<void> {
    const claim = this.#claim
    // A successor that may not write to the directory, as this process may not, has written into the file itself.
    if (claim === undefined || !mayBeAt(this.path, claim.stats)) await this.claim()
    else if (!isOurs(this.path, claim)) rewrite(this.path, claim.fd)
  }

  /** Leaves the bus; a file that is claimed stays so until {@link release}. */
  unsubscribe (): void {
    this.#unit.unsubscribe()
  }

  /**
   * Makes the file this process's own; does nothing if it is.
   *
   * @throws as the class says
   */
  async claim (): Promise<void> {
    if (this.#claim !== undefined && isOurs(this.path, this.#claim)) return
    const deadline = performance.now() + PATIENCE
    let outcome = tryToClaim(this.path)
    while ('busy' in outcome) {
      if (performance.now() > deadline) throw new PIDFileHeld(this.path, outcome.busy)
      await delay(RETRY_INTERVAL)
      outcome = tryToClaim(this.path)
    }
    if (outcome.replaced !== undefined) this.#engine.log(`PID file ${this.path} was stale: ${outcome.replaced}`, 'warn')
    this.#keep(outcome, 'written to')
  }

  /**
   * Gives the file up: removes it if it is still this process's own, else leaves it alone, and so does a successor that
   * fails while its predecessor serves, which takes it back. Does nothing if it was never claimed.
   *
   * @throws `FST_KEEP_ENGINE_PID_FILE_UNUSABLE` when it can be neither removed nor emptied
   */
  release (): void {
    const claim = this.#claim
    this.#claim = undefined
    process.off('exit', this.#atProcessExit)
    if (this.#inheritedFd !== undefined) closeSync(this.#inheritedFd)
    this.#inheritedFd = undefined
    if (claim === undefined) return
    try {
      if (Handover.canBeTakenBack) return
      if (!isOurs(this.path, claim)) return this.#engine.log(`PID file ${this.path} is another process's now: left alone`)
      const how = remove(this.path, claim)
      this.#engine.log(`PID file ${this.path} ${how}`)
      changed.publish({ path: this.path, pid: process.pid, change: how })
    } finally {
      closeSync(claim.fd)
    }
  }

  /** Long before the take-over, so that a restart that cannot succeed fails before anything has been opened. */
  #checkInherited (fd: number): Lock | 'absent' {
    const lock = this.#lockOf(fd)
    if (lock === 'theirs') throw new PIDFileHeld(this.path, `the inherited descriptor ${fd} does not hold it`)
    return lock
  }

  async #takeOver (fd: number): Promise<void> {
    const lock = this.#checkInherited(fd)
    this.#inheritedFd = undefined
    if (lock !== 'absent') return this.#keep(takeOver(this.path, fd, lock), 'took over')
    closeSync(fd)
    await this.claim()
  }

  #lockOf (fd: number): Lock | 'absent' {
    try {
      const stats = fstatSync(fd, { bigint: true })
      if (mayBeAt(this.path, stats)) return lockOfInherited(this.path, fd, OPEN_FLAGS)
      return lstatSync(this.path, { throwIfNoEntry: false }) === undefined ? 'absent' : 'theirs'
    } catch (error) {
      throw asPIDFileError(this.path, 'taken over', error)
    }
  }

  /** Something has ended the process before the bus had exited. */
  readonly #atProcessExit = (): void => {
    try {
      this.release()
    } catch {
      // Nobody can be told any more; the next start finds it stale.
    }
  }

  #keep (claim: Claim, how: string): void {
    if (this.#claim !== undefined) closeSync(this.#claim.fd)
    this.#claim = claim
    process.off('exit', this.#atProcessExit).once('exit', this.#atProcessExit)
    this.#engine.log(`PID ${process.pid} ${how} ${this.path}`)
    if (claim.lock === 'none') this.#engine.log(`PID file ${this.path}: there is no flock(1) to lock it with, PID and start time protect it alone`, 'warn')
    changed.publish({ path: this.path, pid: process.pid, change: how })
  }
}
