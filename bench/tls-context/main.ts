import { type Figure, type Measure } from '../engine/figure.js'
import { machine } from '../engine/machine.js'
import { isMet, table } from '../engine/table.js'
import { grading } from './grading.js'
import { handshakes } from './handshakes.js'
import { names } from './names.js'
import { resumption } from './resumption.js'

const MEASURES: Readonly<Record<string, Measure>> = { handshakes, resumption, grading, names }

/**
 * Runs the measures that are named, by default all, and prints one table.
 *
 * @param args names of measures; `--full` for the longest form of each
 * @returns 0 all targets met, 1 one missed, 64 no such measure
 */
export async function run (args: readonly string[]): Promise<number> {
  const isFull = args.includes('--full')
  const wanted = args.filter(arg => arg !== '--full')
  const unknown = wanted.find(name => !Object.hasOwn(MEASURES, name))
  if (unknown !== undefined) {
    process.stderr.write(`bench tls: there is no measure "${unknown}". There is: ${Object.keys(MEASURES).join(', ')}, and --full\n`)
    return 64
  }
  const before = machine()
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    process.stderr.write(`bench tls: ${name}\n`)
    figures.push(...await measure({ isFull }))
  }
  const absent = figures.filter(({ samples }) => samples.length === 0)
  const measured = figures.filter(({ samples }) => samples.length > 0)
  console.log(`${before}; at the end ${machine()}\n\n${table(measured)}`)
  for (const { what, note } of absent) console.log(`${what}: ${note}`)
  return measured.every(isMet) ? 0 : 1
}
