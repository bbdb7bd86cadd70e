import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Program } from '../engine/program.js'
import type { LoadOptions, LoadReport } from '../load/client.js'
import type { LoadsReport } from '../load/main.js'
import type { Running, Scenario, Site } from './service.js'

/** How often and for how long a scenario is acted out. */
export interface Plan {
  readonly times: number
  /** ms from the begin of one act to that of the next, if it is done by then. */
  readonly interval: number
  /** ms after which no further act is begun. */
  readonly longest: number
  /** ms for caches and compilers, which nobody counts. */
  readonly warmUp: number
  /** ms without any act, before. */
  readonly quiet: number
  /** ms after the last act for connections of the last generation to end in, under load. */
  readonly aftermath: number
}

export interface Outcome {
  readonly scenario: Scenario
  readonly version: string
  /** Acts that were done. */
  readonly acts: number
  readonly wanted: number
  /** ms of each act, as the service tells. */
  readonly durations: readonly number[]
  readonly loads: Readonly<Record<string, { quiet: LoadReport, run: LoadReport }>>
  /** Share of one core that the loads took, during the acts. */
  readonly loaderShare: number
  readonly notes: readonly string[]
  /** What the scenario itself owes, and has missed. */
  readonly missed: readonly string[]
}

/** ms within which an act is done. */
const PATIENCE = 120_000

/** Acts out one scenario under all loads at once. */
export async function run (scenario: Scenario, version: string, site: Site, plan: Plan, allLoads: Readonly<Record<string, LoadOptions>>): Promise<Outcome> {
  const service = await scenario.start(site)
  let loader: Program | undefined
  try {
    const loads = Object.fromEntries(Object.entries(allLoads).filter(([name]) => scenario.without?.includes(name) !== true))
    const file = fileURLToPath(new URL('../load/main.ts', import.meta.url))
    loader = new Program(['--import=tsx', file, JSON.stringify({ loads })])
    await loader.next(/running\n/)
    await delay(plan.warmUp)
    await phase(loader, 'quiet')
    await delay(plan.quiet)
    await phase(loader, 'run')
    const start = performance.now()
    const durations = await acts(service, plan)
    await delay(plan.aftermath)
    const elapsed = performance.now() - start
    loader.process.stdin?.end()
    const [text] = await loader.next(/\{.*\}\n/)
    await loader.ended
    const { reports, cpu } = JSON.parse(text) as LoadsReport
    return {
      scenario,
      version,
      acts: durations.length,
      wanted: plan.times,
      durations,
      loads: Object.fromEntries(Object.entries(reports).map(([name, { quiet, run }]) => [name, { quiet, run }])) as Outcome['loads'],
      loaderShare: (cpu.run ?? 0) / elapsed,
      notes: service.notes?.() ?? [],
      missed: service.missed?.() ?? [],
    }
  } finally {
    loader?.process.kill('SIGKILL')
    await service.end()
  }
}

async function phase (loader: Program, name: string): Promise<void> {
  loader.write(name)
  await loader.next(new RegExp(`phase ${name}\n`))
}

async function acts (service: Running, { times, interval, longest }: Plan): Promise<number[]> {
  const durations: number[] = []
  const start = performance.now()
  while (durations.length < times && performance.now() - start < longest) {
    const begin = performance.now()
    const isDone = await Promise.race([service.act().then(() => true), delay(PATIENCE, false, { ref: false })])
    if (!isDone) throw new Error(`it was not done within ${PATIENCE} ms`)
    durations.push(performance.now() - begin)
    await delay(Math.max(0, begin + interval - performance.now()))
  }
  return durations
}
