import { spawnSync } from 'node:child_process'
import { type Figure, type Target } from '../engine/figure.js'
import { bun, Clients, Server, type Kind } from './programs.js'

interface FanOut {
  readonly clients: number
  /** Messages that are published in one turn. */
  readonly burst: number
  /** Bursts of one sample. */
  readonly bursts: number
  /** Of what a message to one client costs, to that of a loop of `ws.send`. */
  readonly target: Target
}

/** 256 bytes of text to each client, compression off. */
const CASES: readonly FanOut[] = [
  { clients: 500, burst: 8, bursts: 160, target: { of: 'ratio', atMost: 0.166 } },
  { clients: 500, burst: 1, bursts: 480, target: { of: 'ratio', atMost: 0.769 } },
  { clients: 1, burst: 1, bursts: 40_000, target: { of: 'ratio', atMost: 1 } },
  { clients: 1, burst: 8, bursts: 10_000, target: { of: 'ratio', atMost: 1 } },
]

interface Sample {
  /** us of the server's CPU for a message to one client. */
  readonly cpu: number
  /** us until all have it. */
  readonly wall: number
}

/** What it costs to publish: a message to each of many clients, all kinds in each round. */
export async function fanOut (rounds: number): Promise<Figure[]> {
  const hasBun = spawnSync(bun(), ['--version']).status === 0
  const kinds: readonly Kind[] = hasBun ? ['ws', 'fastkeep', 'bun'] : ['ws', 'fastkeep']
  const figures: Figure[] = []
  for (const { clients, burst, bursts, target } of CASES) {
    const samples = await compare(kinds, rounds, async server => {
      const { cpu = Number.NaN, wall = Number.NaN } = await server.tell(`publish ${bursts} ${burst}`, 'published')
      const messages = bursts * burst * clients
      return { cpu: cpu / messages, wall: wall / messages }
    }, { clients, burst })
    const of = (kind: Kind, what: keyof Sample): number[] => samples.get(kind)?.map(sample => sample[what]) ?? []
    const what = `${clients} ${clients === 1 ? 'client' : 'clients'}, ${burst === 1 ? 'single messages' : `bursts of ${burst}`}`
    figures.push(
      { what: `${what}: CPU`, unit: 'us', samples: of('fastkeep', 'cpu'), peer: { name: 'ws loop', samples: of('ws', 'cpu') }, target },
      { what: `${what}: wall`, unit: 'us', samples: of('fastkeep', 'wall'), peer: { name: 'ws loop', samples: of('ws', 'wall') } }
    )
    if (hasBun) {
      figures.push({ what: `${what}: CPU`, unit: 'us', samples: of('fastkeep', 'cpu'), peer: { name: 'Bun', samples: of('bun', 'cpu') } })
    }
  }
  if (!hasBun) process.stderr.write('bench websocket: Bun not run, there is none (BUN=/path/to/bun)\n')
  return figures
}

async function compare (
  kinds: readonly Kind[], rounds: number, measure: (server: Server) => Promise<Sample>, { clients, burst }: Pick<FanOut, 'clients' | 'burst'>
): Promise<Map<Kind, Sample[]>> {
  const samples = new Map<Kind, Sample[]>(kinds.map(kind => [kind, []]))
  const servers = await Promise.all(kinds.map(kind => Server.start(kind)))
  const all: Clients[] = []
  try {
    for (const server of servers) all.push(await Clients.start('topic', server, clients, burst))
    // A first round warms up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < kinds.length; turn++) {
        const index = (turn + round) % kinds.length
        const sample = await measure(servers[index] as Server)
        if (round > 0) samples.get(kinds[index] as Kind)?.push(sample)
      }
    }
  } finally {
    await Promise.all([...all, ...servers].map(each => each.end()))
  }
  return samples
}
