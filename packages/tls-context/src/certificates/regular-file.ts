import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

export interface RegularFile {
  readonly bytes: Buffer
  readonly text: string
  readonly stats: Stats
}

/** A file that is there and is none to read; the message completes a sentence that begins with its path. */
export class UnfitFile extends Error {}

const mebibyte = 1_048_576

/** Reads a regular file of at most `maxMebibytes`, and waits for nothing. Throws `UnfitFile`, or the system's error. */
export function readRegularFile (path: string, { followsLinks = true, maxMebibytes = 1 } = {}): RegularFile {
  // Without O_NONBLOCK a FIFO is opened only when somebody opens it to write.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (followsLinks ? 0 : constants.O_NOFOLLOW))
  try {
    const stats = fstatSync(descriptor)
    if (stats.isDirectory()) throw new UnfitFile('is a directory')
    if (!stats.isFile()) throw new UnfitFile('is not a regular file')
    const bytes = boundedBytes(descriptor, Math.min(stats.size, maxMebibytes * mebibyte), maxMebibytes)
    return { bytes, get text () { return bytes.toString() }, stats }
  } finally {
    closeSync(descriptor)
  }
}

/** The size that the system tells is where reading begins and no more: a file may grow, and those of /proc have none. */
function boundedBytes (descriptor: number, expected: number, maxMebibytes: number): Buffer {
  const max = maxMebibytes * mebibyte
  // One that comes from Node's pool costs less to collect; those of /proc tell no size.
  let buffer = Buffer.allocUnsafe(expected === 0 ? 4_096 : expected + 1)
  let length = 0
  for (;;) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null)
    length += read
    if (length > max) throw new UnfitFile(`is larger than ${maxMebibytes} MiB`)
    if (read === 0) return buffer.subarray(0, length)
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(Math.min(buffer.length, max + 1 - length))])
  }
}
