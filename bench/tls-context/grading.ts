import { grade } from '@fastkeep/tls-context'
import { type Figure, type Scale } from '../engine/figure.js'
import { withLab } from './lab.js'
import { nodeServer } from './server.js'

/** ms that a grade of a server on this machine takes. */
export async function grading ({ isFull }: Scale): Promise<Figure[]> {
  return await withLab(async lab => {
    const server = await nodeServer('ours', lab)
    try {
      const samples: number[] = []
      for (let round = 0; round < (isFull ? 30 : 10); round++) {
        const { duration } = await grade('127.0.0.1', server.port, { servername: 'localhost', ca: lab.cert })
        // The first one compiles the code on both ends.
        if (round > 0) samples.push(duration)
      }
      return [{ what: 'grade() of a local server', unit: 'ms', samples, target: { of: 'median', atMost: 300 } }]
    } finally {
      server.end()
    }
  })
}
