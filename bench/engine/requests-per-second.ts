import { setTimeout as delay } from 'node:timers/promises'
import { failedIn } from '../load/client.js'
import { type Figure, type Scale } from './figure.js'
import { Loader } from './loader.js'
import { Program } from './program.js'
import { interleave } from './rounds.js'
import { cpuTime } from './thread-statistics.js'

const CONNECTIONS = 32
/** ms */
const DURATION = 3_000

interface Throughput {
  readonly perSecond: number
  /** us of the server's CPU; NaN where the system does not tell. */
  readonly cpuPerRequest: number
}

/** GET of a small JSON over keep-alive; both servers run all the time, one is under load at a time. */
export async function requestsPerSecond ({ isFull }: Scale): Promise<Figure[]> {
  const service = Program.start('engine-service')
  const bare = Program.start('bare-service')
  try {
    const ports = await Promise.all([service, bare].map(portOf)) as [number, number]
    const { ours, peer } = await interleave(isFull ? 30 : 10, {
      ours: () => throughput(service, ports[0]),
      peer: () => throughput(bare, ports[1]),
    })
    const name = 'bare Fastify'
    const figures: Figure[] = [{
      what: 'requests per second',
      unit: '/s',
      target: { of: 'ratio', atLeast: 0.98 },
      samples: ours.map(({ perSecond }) => perSecond),
      peer: { name, samples: peer.map(({ perSecond }) => perSecond) },
      note: 'the load client shares the cores with the server and may be the limit; the CPU per request is not hidden by that',
    }]
    if (process.platform === 'linux') {
      figures.push({
        what: 'server CPU per request',
        unit: 'us',
        samples: ours.map(({ cpuPerRequest }) => cpuPerRequest),
        peer: { name, samples: peer.map(({ cpuPerRequest }) => cpuPerRequest) },
      })
    }
    return figures
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
