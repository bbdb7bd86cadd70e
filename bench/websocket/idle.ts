import { type Figure } from '../engine/figure.js'
import { Clients, Server, type Kind } from './programs.js'

const CONNECTIONS = 10_000

/** Memory of a connection that has nothing to do. */
export async function memory (rounds: number): Promise<Figure[]> {
  const samples: Record<'fastkeep' | 'ws' | '@fastify/websocket', Array<{ rss: number, heap: number }>> = { fastkeep: [], ws: [], '@fastify/websocket': [] }
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(samples) as Array<keyof typeof samples>) samples[kind].push(await perConnection(kind))
  }
  const of = (kind: keyof typeof samples, what: 'rss' | 'heap'): number[] => samples[kind].map(sample => sample[what])
  const name = `idle memory of each of ${CONNECTIONS.toLocaleString('en')} connections`
  return [
    { what: `${name}: resident`, unit: 'bytes', samples: of('fastkeep', 'rss'), peer: { name: 'ws', samples: of('ws', 'rss') }, target: { of: 'ratio', atMost: 1.15 } },
    { what: `${name}: heap`, unit: 'bytes', samples: of('fastkeep', 'heap'), peer: { name: 'ws', samples: of('ws', 'heap') } },
    { what: `${name}: resident`, unit: 'bytes', samples: of('fastkeep', 'rss'), peer: { name: '@fastify/websocket', samples: of('@fastify/websocket', 'rss') } },
  ]
}

async function perConnection (kind: Kind): Promise<{ rss: number, heap: number }> {
  const server = await Server.start(kind)
  try {
    // What the first ones compile and load is no memory of a connection.
    await (await Clients.start('idle', server, 200)).end()
    const before = await server.tell('memory', 'memory')
    const clients = await Clients.start('idle', server, CONNECTIONS)
    const after = await server.tell('memory', 'memory')
    await clients.end()
    const each = (what: string): number => ((after[what] ?? Number.NaN) - (before[what] ?? Number.NaN)) / CONNECTIONS
    return { rss: each('rss'), heap: each('heap') }
  } finally {
    await server.end()
  }
}

/** Connections that are held with heartbeats, and lost. */
export async function held (seconds: number): Promise<Figure[]> {
  const server = await Server.start('fastkeep', { PING_INTERVAL: '10000' })
  try {
    const clients = await Clients.start('idle', server, CONNECTIONS)
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    const { open = Number.NaN, pings = Number.NaN } = await clients.tell('held')
    await clients.end()
    const what = `${CONNECTIONS.toLocaleString('en')} connections held for ${seconds} s`
    return [
      { what: `${what}: open`, unit: '', samples: [open], target: { of: 'every', atLeast: CONNECTIONS } },
      { what: `${what}: pings answered by each`, unit: '', samples: [pings / CONNECTIONS] },
    ]
  } finally {
    await server.end()
  }
}
