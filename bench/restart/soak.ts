import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { LoadOptions } from '../load/client.js'
import { markdown } from './markdown.js'
import { rollingReload } from './ours.js'
import { run } from './run.js'
import type { Scenario, Site } from './service.js'

interface Sample {
  readonly reload: number
  readonly memory: number
  readonly descriptors: number
}

/** A reload as soon as the last one is done; what the supervisor has in memory and in descriptors meanwhile. */
export async function soak (site: Site, seconds: number, loads: Readonly<Record<string, LoadOptions>>): Promise<{ text: string, misses: string[] }> {
  const samples: Sample[] = []
  const watched: Scenario = {
    ...rollingReload,
    name: 'soak',
    start: async site => {
      const service = await rollingReload.start(site)
      const { pid = 0 } = service
      return {
        ...service,
        act: async () => {
          await service.act()
          samples.push({ reload: samples.length + 1, memory: residentMemory(pid), descriptors: readdirSync(`/proc/${pid}/fd`).length })
          await delay(0)
        },
      }
    },
  }
  const outcome = await run(watched, '', site, { times: Infinity, interval: 0, longest: seconds * 1000, warmUp: 2_000, quiet: 3_000, aftermath: 6_000 }, loads)
  const lost = Object.entries(outcome.loads).flatMap(([name, { run: { asked, ok, retried } }]) => asked === ok + retried ? [] : [`soak, ${name}: ${asked - ok - retried} of ${asked} lost`])
  // The first reloads warm up; each of the rows is one of ten parts of the rest.
  const rows = samples.filter((_sample, index) => index % Math.max(1, Math.floor(samples.length / 10)) === 0 || index === samples.length - 1)
  const text = markdown(['reload', 'RSS of the supervisor, MiB', 'descriptors'], rows.map(({ reload, memory, descriptors }) => [String(reload), memory.toFixed(1), String(descriptors)]))
  return { text: `Soak: ${samples.length} reloads in ${seconds} s, ${lost.length === 0 ? 'nothing lost' : lost.join('; ')}\n\n${text}`, misses: lost }
}

/** MiB */
export function residentMemory (pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
