import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'

const enter = new Set([0x0a, 0x0d, 0x04])
const erase = new Set([0x08, 0x7f])
const eraseAll = 0x15
const interrupt = 0x03

/**
 * Asks on the controlling terminal, whatever standard input is, and shows nothing of the answer.
 *
 * @returns `undefined` where there is no terminal, or the user pressed Ctrl-C
 */
export function askOnTerminal (question: string): string | undefined {
  let descriptor: number
  try {
    descriptor = openSync('/dev/tty', constants.O_RDWR)
  } catch {
    return undefined
  }
  // It alone can switch the echo off; it takes the descriptor over.
  const { ReadStream } = process.getBuiltinModule('node:tty')
  const terminal = new ReadStream(openSync('/dev/tty', constants.O_RDWR))
  try {
    terminal.setRawMode(true)
    writeSync(descriptor, question)
    return readLine(descriptor)
  } finally {
    terminal.setRawMode(false)
    terminal.destroy()
    writeSync(descriptor, '\n')
    closeSync(descriptor)
  }
}

function readLine (descriptor: number): string | undefined {
  const octets: number[] = []
  const octet = Buffer.alloc(1)
  for (;;) {
    const length = readSync(descriptor, octet, 0, 1, null)
    const key = octet[0] as number
    if (length === 0 || enter.has(key)) return Buffer.from(octets).toString()
    if (key === interrupt) return undefined
    if (key === eraseAll) octets.length = 0
    else if (erase.has(key)) octets.pop()
    else octets.push(key)
  }
}
