import { fileURLToPath } from 'node:url'
import { type Figure } from '../engine/figure.js'
import { Program } from '../engine/program.js'

/** What one of a million sessions takes in a MemoryStore. */
export async function memory (): Promise<Figure[]> {
  const program = new Program(['--expose-gc', '--max-old-space-size=4096', fileURLToPath(new URL('programs/million.js', import.meta.url))])
  const bytes = Number((await program.next(/bytes (\d+) of 1000000\n/))[1])
  await program.ended
  return [{ what: 'MemoryStore, each of 1,000,000 sessions', unit: 'bytes', samples: [bytes], note: 'a session of three fields, about 50 bytes of JSON' }]
}
