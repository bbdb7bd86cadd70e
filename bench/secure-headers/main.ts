import { machine } from '../engine/machine.js'
import { median, paired, spread } from '../engine/statistics.js'
import { cpuTime } from '../engine/thread-statistics.js'
import { Service } from './service.js'
import { hasWrk, wrk } from './wrk.js'

const ROUNDS = { short: 12, full: 30 }
/** s of one variant on one route in one round. */
const DURATION = 1
const BASE = 'bare'

interface Row {
  readonly what: string
  readonly variant: string
  readonly path: '/json' | '/html'
  /** The least ratio to the same route without any headers. */
  readonly atLeast?: number
}

const ROWS: readonly Row[] = [
  { what: 'secure-headers, API policy on JSON', variant: 'secure-headers', path: '/json', atLeast: 0.83 },
  { what: 'secure-headers, document policy on HTML', variant: 'secure-headers', path: '/html', atLeast: 0.72 },
  { what: 'secure-headers, document policy and nonce on HTML', variant: 'secure-headers, nonce', path: '/html', atLeast: 0.62 },
  { what: '@fastify/helmet on JSON', variant: '@fastify/helmet', path: '/json' },
  { what: '@fastify/helmet on HTML', variant: '@fastify/helmet', path: '/html' },
  { what: '@fastify/helmet with nonces on HTML', variant: '@fastify/helmet, nonces', path: '/html' },
]

/** One measurement: a variant on a route. */
type Run = Pick<Row, 'variant' | 'path'>

const RUNS: readonly Run[] = [{ variant: BASE, path: '/json' }, { variant: BASE, path: '/html' }, ...ROWS]

/**
 * Requests a second with each plugin as ratios to bare Fastify on the same route, all variants in turn in each round.
 *
 * @param args `--full` for more rounds
 * @returns 0 all targets met, 1 one missed or not run
 */
export async function run (args: readonly string[]): Promise<number> {
  if (!await hasWrk()) {
    console.log('bench headers: not run, wrk is not installed')
    return 1
  }
  const rounds = args.includes('--full') ? ROUNDS.full : ROUNDS.short
  const before = machine()
  const samples = await measure(rounds)
  const rows = ROWS.map(row => ({ ...row, ...compare(samples.get(keyOf(row)) ?? [], samples.get(keyOf({ ...row, variant: BASE })) ?? []) }))
  console.log(`${before}; at the end ${machine()}; wrk, 32 connections, ${rounds} rounds of ${DURATION} s\n`)
  for (const { what, perSecond, ratio, lowest, highest, cpu, atLeast } of rows) {
    const target = atLeast === undefined ? '' : `  target >= ${atLeast}: ${ratio >= atLeast ? 'met' : 'MISSED'}`
    console.log(`${what.padEnd(52)} ${Math.round(perSecond).toLocaleString('en').padStart(8)}/s  x ${ratio.toFixed(2)} of bare (rounds ${lowest.toFixed(2)} - ${highest.toFixed(2)}), x ${cpu.toFixed(2)} by CPU a request${target}`)
  }
  return rows.every(({ ratio, atLeast = 0 }) => ratio >= atLeast) ? 0 : 1
}

interface Sample {
  readonly perSecond: number
  /** Of the server's CPU time: what a busy machine hides less. NaN where the system does not tell. */
  readonly perCpuSecond: number
}

async function measure (rounds: number): Promise<Map<string, Sample[]>> {
  const services = new Map<string, Service>()
  const samples = new Map<string, Sample[]>(RUNS.map(run => [keyOf(run), []]))
  try {
    for (const { variant } of RUNS) if (!services.has(variant)) services.set(variant, await Service.start(variant))
    // The first round warms up. Each round begins with another variant, so that none is always first or last.
    for (let round = 0; round <= rounds; round++) {
      process.stderr.write(`bench headers: round ${round} of ${rounds}\n`)
      for (let i = 0; i < RUNS.length; i++) {
        const run = RUNS[(i + round) % RUNS.length] as Run
        const sample = await load(services.get(run.variant) as Service, run.path)
        if (round > 0) samples.get(keyOf(run))?.push(sample)
      }
    }
  } finally {
    await Promise.all([...services.values()].map(service => service.end()))
  }
  return samples
}

function keyOf ({ variant, path }: Run): string {
  return `${variant} ${path}`
}

async function load (service: Service, path: string): Promise<Sample> {
  const isTold = process.platform === 'linux'
  const before = isTold ? cpuTime(service.pid) : Number.NaN
  const { requests, perSecond } = await wrk(service.url(path), DURATION)
  return { perSecond, perCpuSecond: isTold ? requests * 1000 / (cpuTime(service.pid) - before) : Number.NaN }
}

interface Comparison {
  readonly perSecond: number
  readonly ratio: number
  readonly lowest: number
  readonly highest: number
  readonly cpu: number
}

function compare (ours: readonly Sample[], bare: readonly Sample[]): Comparison {
  const perSecond = [ours, bare].map(samples => samples.map(({ perSecond }) => perSecond)) as [number[], number[]]
  const perCpuSecond = [ours, bare].map(samples => samples.map(({ perCpuSecond }) => perCpuSecond)) as [number[], number[]]
  const byRound = spread(paired(...perSecond, (one, other) => one / other))
  return {
    perSecond: median(perSecond[0]),
    ratio: median(perSecond[0]) / median(perSecond[1]),
    lowest: byRound.min,
    highest: byRound.max,
    cpu: median(paired(...perCpuSecond, (one, other) => one / other)),
  }
}
