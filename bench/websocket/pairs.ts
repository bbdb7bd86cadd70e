import { type Figure, type Target } from '../engine/figure.js'
import { Clients, Server, type Kind } from './programs.js'

export interface Pair {
  readonly what: string
  readonly unit: string
  readonly task: 'echo' | 'upgrades'
  readonly args: readonly number[]
  /** The word before the figure. */
  readonly answer: string
  readonly peer: Kind
  readonly target: Target
}

/** What clients measure of two servers in turns. */
export async function pair (rounds: number, { what, unit, task, args, answer, peer, target }: Pair): Promise<Figure> {
  const kinds: readonly Kind[] = ['fastkeep', peer]
  const servers = await Promise.all(kinds.map(kind => Server.start(kind)))
  const clients = await Promise.all(servers.map(server => Clients.start(task, server, ...args)))
  const samples: number[][] = [[], []]
  try {
    // A first round warms up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const { value = Number.NaN } = await (clients[index] as Clients).tell(answer)
        if (round > 0) samples[index]?.push(value)
      }
    }
  } finally {
    await Promise.all([...clients, ...servers].map(each => each.end()))
  }
  return { what, unit, samples: samples[0] ?? [], peer: { name: peer, samples: samples[1] ?? [] }, target }
}
