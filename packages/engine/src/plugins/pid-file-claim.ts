import { type BigIntStats, closeSync, fstatSync, ftruncateSync, linkSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { contentFor, type Draft, draftName, draftsOf, removeName, writeDraft } from './pid-file-draft.js'
import { asPIDFileError, PIDFileHeld } from './pid-file-errors.js'
import type { Lock } from './pid-file-lock.js'
import { isAt, openPIDFile, type OpenedPIDFile, reasonOf } from './read-pid-file.js'

/*
 * Why exactly one of several starts wins. The lock is that of the file (the inode), not of its name, so:
 *
 * 1. A file is complete and locked before it gets the name.
 * 2. A name that is free is taken with link(2), which fails for all but the first.
 * 3. A name that is taken is given to another file, with rename(2), only by who has locked the file that has it and has
 *    looked, after that, whether it still has it. From then on nobody else may change the name, by this same rule.
 *
 * So whoever opens the file before the rename cannot lock it, or, when the one that renamed has closed it, finds that
 * it does not have the name any more; and whoever opens it afterwards finds a locked one. Between the two there is no
 * moment without a file. A process that is killed leaves a file without a lock, which is stale by rule 3, and possibly
 * its draft, which the next winner sweeps away: a start that loses its draft so finds the winner when it tries again.
 *
 * Where Node gets no locks, rule 3 is: who moves the stale file away under a name of its own, and sees that it is the
 * one it had judged, goes on with rule 2. Another one's file is given back; a third start in just that moment could take
 * the free name, which is why this is only the second choice.
 */

const CONTENDED = 'other starts were quicker each time'

/** A PID file that this process has claimed. */
export interface Claim {
  readonly fd: number
  readonly lock: Lock
  readonly stats: BigIntStats
  /** Why the file that was there before was stale; `undefined` if there was none. */
  readonly replaced?: string | undefined
}

/** One try: the claim, or why another try may find it otherwise. */
export function tryToClaim (path: string): Claim | { busy: string } {
  const found = openPIDFile(path, 'exclusive')
  if (found === undefined) return place(path, undefined)
  try {
    if (found.lock !== 'none' && !isAt(path, found.stats)) return { busy: CONTENDED }
    // A former process may have had the number of this one, above all in containers.
    const isFormerSelf = found.pid === process.pid && found.lock !== 'theirs'
    if (found.owner === 'plausible' && !isFormerSelf) throw new PIDFileHeld(path, reasonOf(found))
    return found.lock === 'theirs' ? { busy: reasonOf(found) } : place(path, found)
  } finally {
    closeSync(found.fd)
  }
}

/** Puts a file of this process in the place of the one whose lock was inherited. */
export function takeOver (path: string, inherited: number, lock: Lock): Claim {
  let draft: Draft
  try {
    draft = writeDraft(path, process.pid)
  } catch (error) {
    if (!isRefusal(error)) throw asPIDFileError(path, 'taken over', error)
    rewrite(path, inherited)
    return { fd: inherited, lock, stats: fstatSync(inherited, { bigint: true }) }
  }
  try {
    renameSync(draft.path, path)
  } catch (error) {
    discard(draft)
    throw asPIDFileError(path, 'taken over', error)
  }
  closeSync(inherited)
  return claimed(path, draft)
}

/** Whether the path still names the file, or hides it: after a drop of privileges its directory may not be this user's to search. */
export function mayBeAt (path: string, stats: BigIntStats): boolean {
  try {
    return isAt(path, stats)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return true
    throw error
  }
}

/** Whether the path still names the file that was claimed, and it has not been handed over since. */
export function isOurs (path: string, { fd, stats }: Claim): boolean {
  if (!mayBeAt(path, stats)) return false
  const content = contentFor(process.pid)
  const buffer = Buffer.alloc(content.length + 1)
  return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)) === content
}

/**
 * Removes the file; empties it where the directory is not this user's any more: every reader knows an empty one to be
 * stale.
 */
export function remove (path: string, { fd }: Claim): 'removed' | 'emptied' {
  try {
    unlinkSync(path)
    return 'removed'
  } catch (refusal) {
    try {
      ftruncateSync(fd, 0)
      return 'emptied'
    } catch {
      throw asPIDFileError(path, 'removed', refusal)
    }
  }
}

function place (path: string, stale: OpenedPIDFile | undefined): Claim | { busy: string } {
  let draft: Draft
  try {
    draft = writeDraft(path, process.pid)
  } catch (error) {
    throw asPIDFileError(path, 'made', error)
  }
  try {
    if (stale !== undefined && stale.lock === 'ours') {
      renameSync(draft.path, path)
    } else if (stale !== undefined && !moveAway(path, stale)) {
      discard(draft)
      return { busy: CONTENDED }
    } else {
      linkSync(draft.path, path)
    }
    return { ...claimed(path, draft), replaced: stale === undefined ? undefined : reasonOf(stale) }
  } catch (error) {
    discard(draft)
    // ENOENT: the winner has swept this draft away.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOENT') return { busy: CONTENDED }
    throw asPIDFileError(path, 'made', error)
  }
}

function claimed (path: string, { path: own, fd, lock }: Draft): Claim {
  for (const draft of [own, ...draftsOf(path)]) removeName(draft)
  return { fd, lock, stats: fstatSync(fd, { bigint: true }) }
}

/** Without a lock: whether the stale file was moved out of the way, by this process and no other one. */
function moveAway (path: string, { stats }: OpenedPIDFile): boolean {
  if (!isAt(path, stats)) return false
  const aside = draftName(path, process.pid)
  renameSync(path, aside)
  const isStale = isAt(aside, stats)
  if (!isStale) linkSync(aside, path)
  removeName(aside)
  return isStale
}

/**
 * In place, for a process that may not write to the directory any more. At every moment the first line is one of the
 * two PIDs: what is left of a longer one is overwritten with newlines before it is cut off.
 */
export function rewrite (path: string, fd: number): void {
  const content = contentFor(process.pid)
  try {
    writeSync(fd, content.padEnd(Number(fstatSync(fd).size), '\n'), 0)
    ftruncateSync(fd, content.length)
  } catch (error) {
    throw asPIDFileError(path, 'written', error)
  }
}

/** This user may not write to the directory. */
function isRefusal (error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
}

function discard (draft: Draft): void {
  removeName(draft.path)
  closeSync(draft.fd)
}
