import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Program } from '../engine/program.js'
import { cpuTime } from '../engine/thread-statistics.js'
import { median } from '../engine/statistics.js'
import type { LoadsReport } from '../load/main.js'
import { childrenOf } from './children.js'
import { markdown } from './markdown.js'
import { inPlace, rollingReload, supervise } from './ours.js'
import type { Running, Scenario, Site } from './service.js'
import { residentMemory } from './soak.js'

/** ms of processor time of each request, and of a round. */
const WORK = 5
const ROUND = 3_000
const CONNECTIONS = 8

/** ms after which a process that has started gives back no more memory. */
const SETTLED = 15_000

/** What several workers gain, what the supervisor weighs, how long a reload takes. */
export async function speed (site: Site, rounds: number): Promise<{ text: string, misses: string[] }> {
  const rates = await workersAgainstOne(site, rounds)
  const ratios = rates.map(({ one, two }) => two / one)
  const memory = await supervisorAgainstNode(site, rounds)
  const reload = await reloadAgainstStart(site, rounds)
  const gain = median(ratios)
  const loader = Math.max(...rates.map(({ loader }) => loader))
  const rows = [
    [`${site.workers} workers against one process, route of ${WORK} ms CPU`, '>= 1.7 x', `${gain.toFixed(2)} x (rounds ${range(ratios)}); of the workers' work the busiest did ${range(rates.map(({ busiest }) => busiest))}; they got ${range(rates.map(({ processors }) => processors))} processors; loader ${(loader * 100).toFixed(1)} % of the processors`, gain >= 1.7],
    ['supervisor\'s RSS over a bare Node that listens', '<= 8 MiB', `${median(memory).toFixed(1)} MiB (rounds ${range(memory)})`, median(memory) <= 8],
    [`rolling reload of ${site.workers} workers, no clients, against app start`, '<= 2 x start + drain', `${reload.map(({ reload, start }) => `${Math.round(reload)} ms, start ${Math.round(start)} ms`).join('; ')}`, median(reload.map(({ reload, start }) => reload / start)) <= 2],
  ] as const
  return {
    text: markdown(['figure', 'target', 'measured', 'met'], rows.map(([what, target, measured, isMet]) => [what, target, measured, isMet ? 'yes' : '**no**'])),
    misses: rows.filter(([, , , isMet]) => !isMet).map(([what, , measured]) => `${what}: ${measured}`),
  }
}

interface Rate {
  readonly one: number
  readonly two: number
  /** Share of the processor time of all workers that the busiest one took: 0.5 of two is even. */
  readonly busiest: number
  /** Processors that the workers got: on a machine that has other things to do, fewer than there are. */
  readonly processors: number
  /** Share of all processors. */
  readonly loader: number
}

async function workersAgainstOne (site: Site, rounds: number): Promise<Rate[]> {
  const rates: Rate[] = []
  for (let round = 0; round < rounds; round++) {
    const one = await rateOf(inPlace, site)
    const two = await rateOf(rollingReload, site)
    rates.push({ one: one.rate, two: two.rate, busiest: two.busiest, processors: two.processors, loader: Math.max(one.loader, two.loader) / site.workers })
  }
  return rates
}

interface Loaded {
  readonly rate: number
  readonly busiest: number
  readonly processors: number
  readonly loader: number
}

async function rateOf (scenario: Scenario, site: Site): Promise<Loaded> {
  const service = await scenario.start(site)
  try {
    return await loaded(site, service)
  } finally {
    await service.end()
  }
}

async function loaded ({ ports }: Site, { pid }: Running): Promise<Loaded> {
  const load = { host: '127.0.0.1', port: ports.http, kind: 'keep-alive', connections: CONNECTIONS, path: `/work?ms=${WORK}` }
  const file = fileURLToPath(new URL('../load/main.ts', import.meta.url))
  const loader = new Program(['--import=tsx', file, JSON.stringify({ loads: { load } })])
  await loader.next(/running\n/)
  await delay(1_000)
  loader.write('run')
  const workers = pid === undefined ? [] : childrenOf(pid)
  const before = workers.map(cpuTime)
  const start = performance.now()
  await delay(ROUND)
  const taken = workers.map((worker, index) => cpuTime(worker) - (before[index] ?? 0))
  loader.process.stdin?.end()
  const [text] = await loader.next(/\{.*\}\n/)
  const elapsed = performance.now() - start
  await loader.ended
  const { reports, cpu } = JSON.parse(text) as LoadsReport
  const all = taken.reduce((sum, time) => sum + time, 0)
  return { rate: (reports.load?.run?.ok ?? 0) / elapsed, busiest: Math.max(...taken) / all, processors: all / ROUND, loader: (cpu.run ?? 0) / elapsed }
}

/** MiB, of each round. */
async function supervisorAgainstNode (site: Site, rounds: number): Promise<number[]> {
  const differences: number[] = []
  for (let round = 0; round < rounds; round++) {
    const supervisor = await supervise(site)
    const bare = new Program([fileURLToPath(new URL('programs/bare.js', import.meta.url))])
    await bare.next(/up/)
    await delay(SETTLED)
    differences.push(residentMemory(supervisor.pid) - residentMemory(bare.pid))
    await bare.end('SIGKILL')
    await supervisor.end()
  }
  return differences
}

/** ms */
async function reloadAgainstStart (site: Site, rounds: number): Promise<Array<{ reload: number, start: number }>> {
  const times: Array<{ reload: number, start: number }> = []
  for (let round = 0; round < rounds; round++) {
    let begin = performance.now()
    const alone = await inPlace.start(site)
    const start = performance.now() - begin
    await alone.end()
    const service = await rollingReload.start(site)
    begin = performance.now()
    await service.act()
    times.push({ reload: performance.now() - begin, start })
    await service.end()
  }
  return times
}

function range (samples: readonly number[]): string {
  return `${Math.min(...samples).toFixed(2)} - ${Math.max(...samples).toFixed(2)}`
}
