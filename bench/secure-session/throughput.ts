import { type Figure, type Target } from '../engine/figure.js'
import { cpuTime } from '../engine/thread-statistics.js'
import { serve, type Served } from './served.js'
import { wrk } from './wrk.js'

/** Seconds for each measure. */
const WARM_UP = 4

/** What is measured: a kind of session, on a route. */
export interface Run {
  readonly kind: string
  readonly path: '/untouched' | '/read' | '/write'
  /** Of the ratio to the baseline. */
  readonly target?: Target
}

export interface ThroughputOptions {
  readonly runs: readonly Run[]
  /** Is measured in each round as well, and is what the others are held against. */
  readonly baseline: Run
  readonly rounds: number
  /** Of each measure, in seconds. */
  readonly seconds: number
  /** A directory, or the port of a Redis, by kind. */
  readonly places?: Readonly<Record<string, string>>
}

/**
 * Requests per second. Each run has a server of its own, so that none has the garbage of another to take away; all of them
 * run all the time, one at a time is under load, and each round begins with another one,
 * so that a machine that grows slower or busier favours none. A first round warms up and does not count: it is long, because
 * a server that was compiled only half is up to twice as slow.
 */
export async function throughput ({ runs, baseline, rounds, seconds, places = {} }: ThroughputOptions): Promise<Figure[]> {
  const all = [baseline, ...runs]
  const servers: Served[] = []
  const samples = all.map((): number[] => [])
  const costs = all.map((): number[] => [])
  const isTold = process.platform === 'linux'
  try {
    for (const { kind } of all) servers.push(await serve(kind, places[kind] ?? ''))
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < all.length; turn++) {
        const index = (turn + round) % all.length
        const { path } = all[index] as Run
        const { port, pid, cookie } = servers[index] as Served
        const before = isTold ? cpuTime(pid) : Number.NaN
        const perSecond = await wrk(port, path, cookie, round === 0 ? WARM_UP : seconds)
        if (round === 0) continue
        samples[index]?.push(perSecond)
        if (isTold) costs[index]?.push((cpuTime(pid) - before) * 1000 / (perSecond * seconds))
      }
    }
  } finally {
    await Promise.all(servers.map(server => server.end()))
  }
  return runs.flatMap(({ kind, path, target }, index): Figure[] => [
    {
      what: `${kind} ${path}`,
      unit: '/s',
      samples: samples[index + 1] ?? [],
      peer: { name: baseline.kind, samples: samples[0] ?? [] },
      ...target !== undefined && { target },
    },
    // What else runs on the machine changes this less.
    ...isTold ? [{ what: '  the server\'s CPU', unit: 'us', samples: costs[index + 1] ?? [], peer: { name: baseline.kind, samples: costs[0] ?? [] } }] : [],
  ])
}
