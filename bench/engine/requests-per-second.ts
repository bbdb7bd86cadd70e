import { setTimeout as delay } from 'node:timers/promises'
import { failedIn } from '../load/client.js'
import { type Figure, type Scale } from './figure.js'
import { Loader } from './loader.js'
import { Program } from './program.js'
import { interleave } from './rounds.js'
import { cpuTime } from './thread-statistics.js'

const CONNECTIONS = 32
/** ms */
const DURATION = 2_000
const ROUNDS = 3

interface Throughput {
  readonly perSecond: number
  /** us of the server's CPU; NaN where the system does not tell. */
  readonly cpuPerRequest: number
}

/**
 * GET of a small JSON over keep-alive, with several processes of each service, for what the compiler makes of a process
 * is not twice the same.
 *
 * All are measured in their steady state, after some load and a full garbage collection: on Node 20 the first one that
 * finds no callback of `process.nextTick()` waiting makes every later one dearer, for the rest of the life of any process
 * (5 % of its CPU instead of 0.5 %), and when it comes is chance. To compare a service before with one after it would
 * measure that.
 */
export async function requestsPerSecond ({ isFull }: Scale): Promise<Figure[]> {
  const ours: Throughput[] = []
  const peer: Throughput[] = []
  for (let pair = 0; pair < (isFull ? 12 : 5); pair++) {
    const results = await ofTwoProcesses()
    ours.push(...results.ours)
    peer.push(...results.peer)
  }
  const name = 'bare Fastify'
  const note = 'in the steady state: after some load and a full garbage collection'
  const figures: Figure[] = [{
    what: 'requests per second',
    unit: '/s',
    target: { of: 'ratio', atLeast: 0.98 },
    samples: ours.map(({ perSecond }) => perSecond),
    peer: { name, samples: peer.map(({ perSecond }) => perSecond) },
    note: `${note}; the load client shares the cores with the server and may be the limit, which the CPU per request is free of`,
  }]
  if (process.platform === 'linux') {
    figures.push({
      what: 'server CPU per request',
      unit: 'us',
      target: { of: 'ratio', atMost: 1.02 },
      samples: ours.map(({ cpuPerRequest }) => cpuPerRequest),
      peer: { name, samples: peer.map(({ cpuPerRequest }) => cpuPerRequest) },
      note,
    })
  }
  return figures
}

/** Both run all the time, one is under load at a time. */
async function ofTwoProcesses (): Promise<{ ours: Throughput[], peer: Throughput[] }> {
  const service = Program.start('engine-service', { STEADY: 'true' })
  const bare = Program.start('bare-service', { STEADY: 'true' })
  try {
    const ports = await Promise.all([service, bare].map(portOf)) as [number, number]
    const variants = { ours: () => throughput(service, ports[0]), peer: () => throughput(bare, ports[1]) }
    await interleave(1, variants)
    for (const program of [service, bare]) {
      program.write('collect')
      await program.next(/collected\n/)
    }
    return await interleave(ROUNDS, variants)
  } finally {
    await Promise.all([service.end(), bare.end()])
  }
}

async function portOf (service: Program): Promise<number> {
  return Number((await service.next(/serving (\d+)/))[1])
}

async function throughput (server: Program, port: number): Promise<Throughput> {
  const isTold = process.platform === 'linux'
  const loader = await Loader.start({ port, kind: 'keep-alive', connections: CONNECTIONS })
  const begin = performance.now()
  const cpuBefore = isTold ? cpuTime(server.pid) : Number.NaN
  await delay(DURATION)
  const seconds = (performance.now() - begin) / 1000
  const report = await loader.end()
  const cpu = isTold ? cpuTime(server.pid) - cpuBefore : Number.NaN
  if (failedIn(report) > 0) throw new Error(`requests were lost: ${JSON.stringify(report)}`)
  return { perSecond: report.ok / seconds, cpuPerRequest: cpu * 1000 / report.ok }
}
