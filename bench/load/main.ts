// Runs loads in a process of its own until standard input ends, then prints what became of them as one line of JSON.
//   one load:   node --import tsx bench/load/main.ts '{"host":"127.0.0.1","port":8080,"kind":"keep-alive","connections":16}'
//   several:    '{"loads":{"fresh":{...},"idle":{...}}}' gives { reports: { fresh: { <phase>: {...} } }, cpu };
//               a line on standard input begins a phase of that name.
import { createInterface } from 'node:readline'
import { load, runLoad, type LoadOptions, type LoadReport } from './client.js'
import { Tally } from './tally.js'

/** What several loads print. */
export interface LoadsReport {
  reports: Record<string, Record<string, LoadReport>>
  /** ms of processor time by phase: of this process, which shares the machine with what it measures. */
  cpu: Record<string, number>
}

const given = JSON.parse(process.argv[2] ?? '{}') as LoadOptions | { loads: Record<string, LoadOptions> }
const end = new AbortController()
const lines = createInterface({ input: process.stdin }).on('close', () => end.abort())
process.stdout.write('running\n')
console.log(JSON.stringify('loads' in given ? await several(given.loads) : await load(given, end.signal)))

async function several (loads: Record<string, LoadOptions>): Promise<LoadsReport> {
  const tallies = Object.entries(loads).map(([name, options]) => ({ name, options, tally: new Tally('begin') }))
  const cpu: Record<string, number> = {}
  let phase = 'begin'
  let before = process.cpuUsage()
  const endPhase = (): void => {
    const { user, system } = process.cpuUsage(before)
    cpu[phase] = Math.round((user + system) / 1000)
    before = process.cpuUsage()
  }
  lines.on('line', name => {
    endPhase()
    phase = name
    for (const { tally } of tallies) tally.begin(name)
    process.stdout.write(`phase ${name}\n`)
  })
  await Promise.all(tallies.map(({ options, tally }) => runLoad(options, tally, end.signal)))
  endPhase()
  return { reports: Object.fromEntries(tallies.map(({ name, tally }) => [name, tally.reports])), cpu }
}
