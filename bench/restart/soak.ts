import { readdirSync, readFileSync } from 'node:fs'
import type { LoadOptions } from '../load/client.js'
import { median } from '../engine/statistics.js'
import { processesWith } from './children.js'
import { losses, markdown } from './markdown.js'
import { superviseAndChange, type Changeable } from './ours.js'
import { run } from './run.js'
import type { Scenario, Site } from './service.js'

interface Sample {
  readonly act: string
  /** The first one is 1, and each upgrade starts the next. */
  readonly supervisor: number
  /** MiB of the supervisor. */
  readonly memory: number
  /** Of the supervisor. */
  readonly descriptors: number
  /** Of the service, those included that still drain. */
  readonly processes: number
}

interface Act {
  readonly name: string
  /** It comes as each so many-th act, counted from `first`. */
  readonly every: number
  readonly first: number
  readonly run: (service: Changeable, site: Site) => Promise<void>
}

/** Instead of a reload. With one more worker there are reloads too. */
const OTHER_ACTS: readonly Act[] = [
  { name: 'scaled up', every: 10, first: 3, run: async ({ scale }, { workers }) => await scale(workers + 1) },
  { name: 'scaled down', every: 10, first: 6, run: async ({ scale }, { workers }) => await scale(workers) },
  { name: 'upgrade', every: 40, first: 9, run: async ({ upgrade }) => await upgrade() },
]

/** What one supervisor may grow by between the second and the last quarter of its samples: MiB, and descriptors. */
const GROWTH = { memory: 4, descriptors: 2 }

/** Fewer tell nothing of growth: a quarter has each of the other acts once. */
const LEAST_SAMPLES = 40

/** Of the table, about. */
const ROWS = 20

/**
 * A reload as soon as the last one is done, now and then one worker more and one less by the command, and an upgrade of
 * the supervisor; what the supervisor has in memory and in descriptors meanwhile, and how many processes there are.
 */
export async function soak (site: Site, seconds: number, loads: Readonly<Record<string, LoadOptions>>): Promise<{ text: string, misses: string[] }> {
  const samples: Sample[] = []
  const watched: Scenario = {
    name: 'soak',
    version: async () => process.version,
    start: async site => {
      const service = await superviseAndChange(site)
      let supervisor = 1
      return {
        act: async () => {
          const before = service.pid
          const act = await actOut(samples.length + 1, service, site)
          if (service.pid !== before) supervisor++
          samples.push({ act, supervisor, memory: residentMemory(service.pid), descriptors: readdirSync(`/proc/${service.pid}/fd`).length, processes: processesOf(site) })
        },
        end: service.end,
      }
    },
  }
  const outcome = await run(watched, '', site, { times: Infinity, interval: 0, longest: seconds * 1000, warmUp: 2_000, quiet: 3_000, aftermath: 6_000 }, loads)
  const left = processesOf(site)
  const grown = growth(samples)
  const missed = [...losses(outcome), ...grown.filter(({ isTooMuch }) => isTooMuch).map(({ text }) => text), ...left === 0 ? [] : [`${left} processes are left`]]
  const asked = Object.values(outcome.loads).reduce((sum, { run }) => sum + run.asked, 0)
  const facts = [
    `${countsOf(samples)} in ${seconds} s`,
    losses(outcome).length === 0 ? `nothing lost of ${asked} requests` : losses(outcome).join(', '),
    ...grown.length === 0 ? ['too short to tell growth'] : grown.map(({ text }) => text),
    `${left} processes are left`,
  ]
  return { text: `Soak: ${facts.join('; ')}\n\n${table(samples)}`, misses: missed.map(miss => `soak, ${miss}`) }
}

async function actOut (number: number, service: Changeable, site: Site): Promise<string> {
  const other = OTHER_ACTS.find(({ every, first }) => number >= first && (number - first) % every === 0)
  if (other === undefined) await service.reload()
  else await other.run(service, site)
  return other?.name ?? 'reload'
}

/** Of each supervisor by itself: a new one has everything yet to load. */
function growth (samples: readonly Sample[]): Array<{ text: string, isTooMuch: boolean }> {
  return valuesOf(samples, 'supervisor').flatMap(supervisor => {
    const own = samples.filter(sample => sample.supervisor === supervisor)
    if (own.length < LEAST_SAMPLES) return []
    const quarter = Math.floor(own.length / 4)
    const change = (what: 'memory' | 'descriptors'): [before: number, after: number] => [
      median(own.slice(quarter, 2 * quarter).map(sample => sample[what])),
      median(own.slice(-quarter).map(sample => sample[what])),
    ]
    const memory = change('memory')
    const descriptors = change('descriptors')
    return [{
      text: `supervisor ${supervisor}: RSS ${memory.map(MiB => MiB.toFixed(1)).join(' to ')} MiB, descriptors ${descriptors.join(' to ')}`,
      isTooMuch: memory[1] - memory[0] > GROWTH.memory || descriptors[1] - descriptors[0] > GROWTH.descriptors,
    }]
  })
}

function countsOf (samples: readonly Sample[]): string {
  return valuesOf(samples, 'act').map(act => `${samples.filter(sample => sample.act === act).length} x ${act}`).join(', ')
}

function valuesOf<Key extends keyof Sample> (samples: readonly Sample[], key: Key): Array<Sample[Key]> {
  return [...new Set(samples.map(sample => sample[key]))]
}

/** Some in equal distances, and all upgrades. */
function table (samples: readonly Sample[]): string {
  const distance = Math.max(1, Math.ceil(samples.length / ROWS))
  const rows = samples
    .map(({ act, supervisor, memory, descriptors, processes }, index) => [String(index + 1), act, String(supervisor), memory.toFixed(1), String(descriptors), String(processes)])
    .filter((_row, index) => index % distance === 0 || samples[index]?.act === 'upgrade' || index === samples.length - 1)
  return markdown(['act', 'which was', 'supervisor', 'its RSS, MiB', 'its descriptors', 'processes'], rows)
}

function processesOf ({ directory }: Site): number {
  return processesWith(`TLS_FILES=${directory}`).length
}

/** MiB */
export function residentMemory (pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
