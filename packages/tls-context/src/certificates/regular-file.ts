import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

export interface RegularFile {
  readonly text: string
  readonly stats: Stats
}

/** A file that is there and is none to read; the message completes a sentence that begins with its path. */
export class UnfitFile extends Error {}

const maxLength = 1_048_576

/** Reads a regular file of at most 1 MiB, and waits for nothing. Throws `UnfitFile`, or the system's error. */
export function readRegularFile (path: string, { followsLinks = true } = {}): RegularFile {
  // Without O_NONBLOCK a FIFO is opened only when somebody opens it to write.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (followsLinks ? 0 : constants.O_NOFOLLOW))
  try {
    const stats = fstatSync(descriptor)
    if (stats.isDirectory()) throw new UnfitFile('is a directory')
    if (!stats.isFile()) throw new UnfitFile('is not a regular file')
    return { text: boundedText(descriptor), stats }
  } finally {
    closeSync(descriptor)
  }
}

/** The size that the system tells is not asked: a file may grow, and those of /proc have none. */
function boundedText (descriptor: number): string {
  const buffer = Buffer.alloc(maxLength + 1)
  let length = 0
  for (let read = 1; read > 0 && length < buffer.length; length += read) {
    read = readSync(descriptor, buffer, length, buffer.length - length, null)
  }
  if (length > maxLength) throw new UnfitFile('is larger than 1 MiB')
  return buffer.toString('utf8', 0, length)
}
