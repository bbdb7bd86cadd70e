// Publishes as a server is told to on its standard input, and says what it has cost. Runs in Node and in Bun.
import { createInterface } from 'node:readline'

/** Bursts that are published before the next is due to be acknowledged by the clients, and what they acknowledge at once. */
const WINDOW = 16
const ACKNOWLEDGED = 8

const turn = () => new Promise(resolve => setImmediate(resolve))

/** @param {{ publish: (text: string) => void, commands?: Record<string, (...args: string[]) => unknown> }} server */
export function publisher ({ publish, commands = {} }) {
  let acknowledged = 0
  let wake = () => {}

  async function run (bursts, size) {
    acknowledged = 0
    const text = 'x'.repeat(256)
    const started = performance.now()
    const before = process.cpuUsage()
    for (let published = 0; published < bursts; published++) {
      // eslint-disable-next-line no-unmodified-loop-condition -- a message of the clients changes it
      while (published - acknowledged >= WINDOW) await new Promise(resolve => { wake = resolve })
      for (let n = 0; n < size; n++) publish(text)
      await turn()
    }
    // eslint-disable-next-line no-unmodified-loop-condition -- the same
    while (acknowledged < bursts) await new Promise(resolve => { wake = resolve })
    const { user, system } = process.cpuUsage(before)
    console.log(`published cpu=${user + system} wall=${Math.round((performance.now() - started) * 1000)}`)
  }

  createInterface({ input: process.stdin }).on('line', async line => {
    const [command, ...args] = line.split(' ')
    if (command === 'publish') await run(Number(args[0]), Number(args[1]))
    else await commands[command]?.(...args)
  }).on('close', () => process.exit())

  return () => {
    acknowledged += ACKNOWLEDGED
    wake()
  }
}
