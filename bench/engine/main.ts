import { busPublish } from './bus-publish.js'
import { daemonLaunch } from './daemon-launch.js'
import { type Figure, type Measure } from './figure.js'
import { idle } from './idle.js'
import { machine } from './machine.js'
import { pidFileRace } from './pid-file-race.js'
import { requestsPerSecond } from './requests-per-second.js'
import { restart } from './restart.js'
import { startUp } from './start-up.js'
import { isMet, table } from './table.js'

const MEASURES: Readonly<Record<string, Measure>> = {
  'bus-publish': busPublish,
  'start-up': startUp,
  'daemon-launch': daemonLaunch,
  idle,
  'requests-per-second': requestsPerSecond,
  restart,
  'pid-file-race': pidFileRace,
}

/**
 * Runs the measures that are named, by default all, and prints one table.
 *
 * @param args names of measures; `--full` for the longest form of each
 * @returns 0 all targets met, 1 one missed, 64 no such measure
 */
export async function run (args: readonly string[]): Promise<number> {
  const isFull = args.includes('--full')
  const names = args.filter(arg => arg !== '--full')
  const unknown = names.find(name => !Object.hasOwn(MEASURES, name))
  if (unknown !== undefined) {
    process.stderr.write(`bench engine: there is no measure "${unknown}". There is: ${Object.keys(MEASURES).join(', ')}, and --full\n`)
    return 64
  }
  const before = machine()
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (names.length > 0 && !names.includes(name)) continue
    process.stderr.write(`bench engine: ${name}\n`)
    figures.push(...await measure({ isFull }))
  }
  console.log(`${before}; at the end ${machine()}\n\n${table(figures)}`)
  return figures.every(isMet) ? 0 : 1
}
