import { randomBytes } from 'node:crypto'
import { open, rename, rm, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { systemCode, tlsContextError } from '../errors.js'
import { readRegularFile, UnfitFile } from './regular-file.js'

/** In ms. Whoever holds the lock makes two keys and writes three files. */
const patience = 10_000
const retryAfter = 20

/**
 * Runs `action` while no other call, of this process or another, runs one for the same directory. The lock is the file
 * `.lock`; one that a dead process left behind, or that has not changed for 10 s, is taken over.
 */
export async function withDirectoryLock<Result> (directory: string, action: () => Promise<Result>): Promise<Result> {
  const path = join(directory, '.lock')
  await acquire(path)
  try {
    return await action()
  } finally {
    // One that was taken over is gone.
    await unlink(path).catch(() => {})
  }
}

async function acquire (path: string): Promise<void> {
  let seen: Lock | undefined
  let since = performance.now()
  while (!await create(path)) {
    const lock = read(path)
    if (lock?.identity !== seen?.identity) since = performance.now()
    seen = lock
    if (lock !== undefined && (lock.isOfDeadProcess || performance.now() - since > patience)) await remove(path)
    else await setTimeout(retryAfter)
  }
}

async function create (path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(`${process.pid} ${hostname()}`).finally(() => file.close())
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/** Under a name of its own first: of several that find the same lock abandoned, one alone removes it. */
async function remove (path: string): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString('hex')}.tmp`
  try {
    await rename(path, aside)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  await rm(aside)
}

interface Lock {
  readonly identity: string
  readonly isOfDeadProcess: boolean
}

function read (path: string): Lock | undefined {
  try {
    const { text, stats } = readRegularFile(path, { followsLinks: false })
    const [pid, host] = text.split(' ')
    return { identity: `${stats.ino} ${stats.mtimeMs}`, isOfDeadProcess: host === hostname() && isDead(Number(pid)) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    if (error instanceof UnfitFile) throw tlsContextError('DIRECTORY_NOT_USABLE', `${path} ${error.message}, and the lock of its directory has to be there. Move it away`)
    throw error
  }
}

function isDead (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return systemCode(error) === 'ESRCH'
  }
}
