import { type Figure } from '../engine/figure.js'
import { Clients, Server } from './programs.js'

const READERS = 499
const MARK = 1024 * 1024

/** What one client that never reads does to 499 others: 50 messages per second to each. */
export async function slowReader (rounds: number): Promise<Figure[]> {
  const server = await Server.start('fastkeep', { SLOW_READER: 'drop-oldest' })
  const readers = await Clients.start('latency', server, READERS)
  const withOne: number[] = []
  const without: number[] = []
  const buffered: number[] = []
  const sample = async (): Promise<number> => {
    await server.tell('stamped 100 20', 'stamped')
    return (await readers.tell('latency')).p99 ?? Number.NaN
  }
  try {
    await sample()
    for (let round = 0; round < rounds; round++) {
      without.push(await sample())
      const deaf = await Clients.start('deaf', server)
      buffered.push((await server.tell(`flood ${32 * MARK}`, 'flooded')).buffered ?? Number.NaN)
      withOne.push(await sample())
      await deaf.end()
    }
  } finally {
    await Promise.all([readers.end(), server.end()])
  }
  return [
    { what: `p99 of ${READERS} beside one that never reads`, unit: 'us', samples: withOne, peer: { name: 'without it', samples: without }, target: { of: 'ratio', atMost: 1.2 } },
    { what: 'bytes that wait for it, of 32 MiB published', unit: 'bytes', samples: buffered, target: { of: 'every', atMost: MARK } },
  ]
}
